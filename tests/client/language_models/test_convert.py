"""Conversion: ARPA to a binary with the same words and scores, in another case, or nothing."""

import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.__main__ import main
from client.errors import DecoderError
from client.language_models import load_language_model, read_words
from client.language_models.cases import CASES
from client.language_models.convert import BinaryOptions
from tests.client.language_models.support import TYPES, arpa_of, build, large_arpa
from tests.client.support import ARPA

UPPER = re.sub(r"\b(cat|cot|dog)\b", lambda word: word[0].upper(), ARPA)

# Printable, without white space (Z) and control characters (C).
WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8)
VOCABULARIES = st.lists(
    WORDS.filter(lambda word: word.lower() not in {"<s>", "</s>", "<unk>"}),
    min_size=1,
    max_size=20,
    unique=True,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model, and the same in upper case."""
    (tmp_path / "model.arpa").write_text(ARPA)
    (tmp_path / "upper.arpa").write_text(UPPER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(arpa, *arguments):
    return main(["lm", "convert", str(arpa), "--output", "out", *arguments])


@pytest.mark.parametrize("kind", ["trie", "probing"])
@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_the_command_builds_a_binary_and_says_what_it_is(kind, gzipped, folder, capfd):
    data = ARPA.encode()
    Path("in").write_bytes(gzip.compress(data) if gzipped else data)
    assert convert("in", "--type", kind) == 0
    model = load_language_model("out")
    assert model.words == {"cat", "cot", "dog"}
    assert model.score("cat") == pytest.approx(-0.2)
    captured = capfd.readouterr()
    assert captured.err == ""
    for fact in (r"1-grams +│ 6", r"2-grams +│ 3", rf"structure +│ {kind}", r"order +│ 2"):
        assert re.search(fact, captured.out)
    assert {path.name for path in folder.iterdir()} == {"model.arpa", "upper.arpa", "in", "out"}


def test_a_quantised_trie_is_smaller(folder):
    text, _ = large_arpa()
    (folder / "large").write_text(text)
    sizes = []
    for arguments in ([], ["--quantize", "8"], ["--quantize", "4"]):
        assert convert("large", *arguments, "--memory", "64M") == 0
        sizes.append((folder / "out").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)


def test_an_upper_case_model_becomes_lower_case_with_its_scores(folder):
    assert convert("upper.arpa", "--case", "lower") == 0
    lower, upper = load_language_model("out"), load_language_model("upper.arpa")
    assert lower.words == {"cat", "cot", "dog"}
    for sentence in ("cat", "cat cot", "dog dog", "bird cat"):
        score = upper.score(sentence.upper())
        assert lower.score(sentence) == pytest.approx(score, abs=1e-5)
    assert convert("model.arpa", "--case", "upper") == 0
    assert read_words(folder / "out") == {"CAT", "COT", "DOG"}


@pytest.mark.parametrize("case", ["keep", "lower", "upper"])
@pytest.mark.parametrize("marks", ["<s> </s> <unk>", "<S> </S> <UNK>", "<s> </s> <UNK>"])
def test_marks_stay_marks_in_every_case(case, marks, folder):
    begin, end, unknown = marks.split()
    text = ARPA.replace("<s>", begin).replace("</s>", end).replace("<unk>", unknown)
    (folder / "in").write_text(text)
    assert convert("in", "--case", case) == 0
    model = load_language_model("out")
    word = "CAT" if case == "upper" else "cat"
    assert word in model.words
    assert len(model.words) == 3
    assert model.score(word) == pytest.approx(-0.2)
    assert model.scores(["bird"])[0] == (pytest.approx(-0.3 - 1.0), True)


@pytest.mark.parametrize(
    ("words", "case"),
    [
        (["Cat", "cat"], "lower"),
        (["straße", "STRASSE"], "upper"),
        (["ı", "i"], "upper"),  # noqa: RUF001
        (["ſo", "so"], "upper"),  # noqa: RUF001
        (["\N{KELVIN SIGN}", "k"], "lower"),
        (["İ", "i"], "lower"),
        (["ı", "I"], "lower-tr"),  # noqa: RUF001
        (["cat", "cat"], "keep"),
        (["<Unk>"], "keep"),
    ],
)
def test_words_that_become_equal_are_refused_by_name(words, case, folder, capsys):
    (folder / "in").write_text(arpa_of(words))
    (folder / "out").write_text("old")
    assert convert("in", "--case", case) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: in: ")
    assert repr(words[-1]) in err
    assert (folder / "out").read_text() == "old"


@pytest.mark.parametrize(
    ("word", "case", "written"),
    [
        ("straße", "upper", "STRASSE"),
        ("ΟΔΟΣ", "lower", "οδος"),
        ("İZMİR", "lower", "izmir"),
        ("IĞDIR", "lower-tr", "ığdır"),  # noqa: RUF001
        ("izmir", "upper-tr", "İZMİR"),
        ("ﬁn", "upper", "FIN"),
        ("ǅ", "lower", "ǆ"),
    ],
)
def test_letters_that_change_their_number_keep_their_scores(word, case, written, folder):
    (folder / "in").write_text(arpa_of([word, "x"]))
    assert convert("in", "--case", case) == 0
    model, original = load_language_model("out"), load_language_model("in")
    assert written in model.words
    assert len(model.words) == 2
    assert model.score(written) == pytest.approx(original.score(word))


@settings(max_examples=50, deadline=None)
@given(words=VOCABULARIES, options=st.sampled_from([*TYPES.values()]))
def test_any_printable_words_survive(words, options):
    with tempfile.TemporaryDirectory() as name:
        arpa, binary = Path(name, "arpa"), Path(name, "binary")
        arpa.write_text(arpa_of(words), encoding="utf-8")
        build(arpa, binary, options=options)
        assert read_words(arpa) == read_words(binary) == set(words)


@settings(max_examples=50, deadline=None)
@given(words=VOCABULARIES, case=st.sampled_from(["lower", "upper"]))
def test_a_case_keeps_every_words_score_or_is_refused(words, case):
    written = [CASES[case](word) for word in words]
    with tempfile.TemporaryDirectory() as name:
        arpa, binary = Path(name, "arpa"), Path(name, "binary")
        arpa.write_text(arpa_of(words), encoding="utf-8")
        if len(set(written)) < len(written):
            with pytest.raises(DecoderError, match="are the same as others"):
                build(arpa, binary, case)
            assert not binary.exists()
            return
        header = build(arpa, binary, case)
        assert header.counts == (len(words) + 3, len(words))
        model = load_language_model(binary)
        assert model.words == set(written)
        for rank, word in enumerate(written, start=1):
            _, (alone, _), _ = model.scores(["<unk>", word])
            assert alone == pytest.approx(-rank / 1000, abs=1e-5)


DAMAGED = {
    "empty": (b"", "error: "),
    "text": (b"just some words\n", "error: "),
    "noise": (bytes(range(256)) * 4, "cannot read it"),
    "Latin-1": (ARPA.replace("cat", "caf\xe9").encode("latin-1"), "cannot read it"),
    "cut in the words": (ARPA[: ARPA.index("-0.9")].encode(), "build_binary: failed"),
    "cut in the pairs": (ARPA[: ARPA.index("-1.5")].encode(), "build_binary: failed"),
    "count too high": (ARPA.replace("1=6", "1=60").encode(), "build_binary: failed"),
    "count too low": (ARPA.replace("2=3", "2=2").encode(), "build_binary: failed"),
    "a word too many": (ARPA.replace("<s> cot", "<s> cot cat dog").encode(), "line 15: holds 5"),
    "pair of an unknown word": (ARPA.replace("<s> cot", "<s> bird").encode(), "failed"),
    "half a gzip": (gzip.compress(ARPA.encode())[:60], "cannot read it"),
    "gzip with a wrong sum": (gzip.compress(ARPA.encode())[:-8] + bytes(8), "cannot read it"),
}


@pytest.mark.parametrize("case", ["keep", "lower"])
@pytest.mark.parametrize(("data", "says"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_leaves_the_old_output_and_nothing_else(data, says, case, folder, capfd):
    (folder / "in").write_bytes(data)
    (folder / "out").write_text("old")
    before = sorted(folder.iterdir())
    assert convert("in", "--case", case) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert says in err
    assert "isn't normal" not in err
    assert (folder / "out").read_text() == "old"
    assert sorted(folder.iterdir()) == before


def test_a_missing_file_and_a_folder_are_named(folder, capsys):
    (folder / "nothing").mkdir()
    for name in ("gone.arpa", "nothing"):
        assert convert(name) == 1
        assert f"error: {name}: cannot read it" in capsys.readouterr().err


def test_a_file_may_end_its_lines_as_windows_does_and_begin_with_a_mark(folder):
    (folder / "in").write_bytes(("\ufeff" + ARPA.replace("\n", "\r\n")).encode())
    assert convert("in") == 0
    assert load_language_model("out").words == {"cat", "cot", "dog"}


def test_a_file_is_not_converted_onto_itself_and_no_device_is_replaced(folder, capsys):
    before = (folder / "model.arpa").read_bytes()
    (folder / "link").symlink_to("model.arpa")
    os.mkfifo(folder / "pipe")
    for output, says in (
        ("model.arpa", "is the input model.arpa"),
        ("link", "is the input model.arpa"),
        ("pipe", "is a pipe or device"),
    ):
        assert main(["lm", "convert", "model.arpa", "--output", output]) == 1
        assert f"error: {output}: {says}" in capsys.readouterr().err
    assert (folder / "model.arpa").read_bytes() == before
    assert (folder / "pipe").is_fifo()


def test_a_binary_is_readable_as_any_other_new_file(folder):
    (folder / "new").touch()
    assert convert("model.arpa") == 0
    assert (folder / "out").stat().st_mode == (folder / "new").stat().st_mode


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"type": "array"}, "type 'array'"),
        ({"quantize_bits": 1}, "quantize 1"),
        ({"quantize_bits": 26}, "quantize 26"),
        ({"type": "probing", "quantize_bits": 8}, "only type trie"),
        ({"memory": "lots"}, "memory 'lots'"),
        ({"memory": "50%"}, "memory '50%'"),
        ({"memory": "0M"}, "memory '0M'"),
    ],
)
def test_options_that_make_no_sense_are_named(options, says):
    with pytest.raises(DecoderError, match=re.escape(says)):
        BinaryOptions(**options)


def test_every_option_that_does_not_hold_is_in_the_message(capsys):
    assert convert("model.arpa", "--type", "probing", "--quantize", "99", "--memory", "x") == 1
    err = capsys.readouterr().err
    for problem in ("quantize 99", "only type trie", "memory 'x'"):
        assert problem in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["lm"],
        ["lm", "merge"],
        ["lm", "convert", "model.arpa"],
        ["lm", "convert", "model.arpa", "--output", "nowhere/out"],
        ["lm", "convert", "model.arpa", "--output", "."],
        ["lm", "convert", "model.arpa", "--output", "out", "--case", "title"],
        ["lm", "convert", "model.arpa", "--output", "out", "--type", "array"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "hint: nemo-ctc lm" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["empty", "gone"])
def test_without_kenlms_tools_the_target_that_builds_them_is_named(
    place, folder, monkeypatch, capsys
):
    (folder / "empty").mkdir()
    monkeypatch.setenv("KENLM_BIN", str(folder / place))
    assert convert("model.arpa") == 1
    err = capsys.readouterr().err
    assert "make kenlm-tools" in err
    assert str(folder / place) in err
    assert not (folder / "out").exists()


def test_a_tool_that_is_no_program_is_an_error(folder, monkeypatch, capsys):
    (folder / "build_binary").write_text("text")
    (folder / "build_binary").chmod(0o755)
    monkeypatch.setenv("KENLM_BIN", str(folder))
    assert convert("model.arpa") == 1
    assert "build_binary: cannot run" in capsys.readouterr().err


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGINT])
def test_a_tool_that_is_killed_is_told_with_its_signal(name, folder, monkeypatch, capsys):
    (folder / "build_binary").write_text(f"#!/bin/sh\nkill -{name.value} $$\n")
    (folder / "build_binary").chmod(0o755)
    monkeypatch.setenv("KENLM_BIN", str(folder))
    assert convert("model.arpa") == 1
    assert f"was killed by signal {name.value}" in capsys.readouterr().err
    assert not [*folder.glob(".*")]


def test_ctrl_c_ends_build_binary_and_leaves_nothing_behind(folder):
    """The model comes through a pipe that stops halfway, so that the command waits for more."""
    text, _ = large_arpa()
    os.mkfifo(folder / "in")
    (folder / "out").write_text("old")
    before = sorted(folder.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "lm", "convert", "in", "--output", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (folder / "in").open("w") as pipe:
        pipe.write(text[: len(text) // 2])
        pipe.flush()
        tool = child_of(process)
        assert len(sorted(folder.iterdir())) > len(before)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert not Path(f"/proc/{tool}").exists()
    assert sorted(folder.iterdir()) == before
    assert (folder / "out").read_text() == "old"


def child_of(process):
    """Id of the process that ``process`` starts, once it has."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        assert process.poll() is None
        time.sleep(0.01)
    return found[0]
