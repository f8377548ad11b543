"""Language models: all kinds of files are read alike, trained, converted and told about."""

import gzip
import json
import subprocess
import sys

import kenlm
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.__main__ import main
from client.errors import DecoderError
from client.language_models import load_language_model, read_words
from client.language_models.convert import BinaryOptions, convert
from client.language_models.inspection import fit
from client.language_models.tools import find_tool
from tests.client.support import ARPA

try:
    find_tool("build_binary")
except DecoderError as missing:
    pytest.skip(str(missing), allow_module_level=True)

WORDS = {"cat", "cot", "dog"}
BINARIES = {
    "trie": BinaryOptions(),
    "probing": BinaryOptions("probing"),
    "quantised trie": BinaryOptions(quantize_bits=8),
}
LETTERS = ("--characters", "abcdefghijklmnopqrstuvwxyz'")


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture(params=BINARIES)
def binary(request, arpa, tmp_path):
    path = tmp_path / "renamed.arpa"  # the content counts, not the name
    with arpa.open("rb") as source:
        header = convert(source, path, options=BINARIES[request.param])
    assert header.structure == request.param
    return path


def lm(capsys, command, *arguments):
    """Exit status and output of ``lm``, white space of tables apart."""
    status = main(["lm", command, *map(str, arguments)])
    captured = capsys.readouterr()
    return status, " ".join(captured.out.split()), captured.err


def test_a_binary_is_the_model_it_was_made_of(arpa, binary):
    ours, original = load_language_model(binary), load_language_model(arpa)
    assert ours.words == original.words == WORDS
    for text in ("cat", "cat cot", "dog", "bird", ""):
        assert ours.kenlm.score(text) == pytest.approx(original.kenlm.score(text), abs=1e-5)


def test_a_list_replaces_the_words(arpa, binary, tmp_path):
    listed = tmp_path / "words.txt.gz"
    listed.write_bytes(gzip.compress(b"cat\n\n dog \nbird\n"))
    assert load_language_model(arpa, listed).words == {"cat", "dog"}
    assert load_language_model(binary, listed).words == {"cat", "dog"}
    listed.write_bytes(b"CAT\nbird\n")
    with pytest.raises(DecoderError, match="knows none of its 2 words"):
        load_language_model(binary, listed)
    with pytest.raises(DecoderError, match="cannot read it"):
        load_language_model(binary, tmp_path / "gone.txt")


LOAD = """
import sys
from client.errors import DecoderError
from client.language_models import load_language_model
for path in sys.argv[2:]:
    try:
        load_language_model(path, sys.argv[1] or None).kenlm.score("cat dog")
        print("loaded")
    except DecoderError:
        print("refused")
"""


@pytest.mark.parametrize("listed", [False, True], ids=["own words", "listed words"])
def test_a_cut_binary_is_refused_wherever_it_ends(binary, tmp_path, listed):
    """In a process of its own: KenLM reads past the end of a mapped file, which ends it."""
    data = binary.read_bytes()
    cut = []
    for twentieth in range(20):
        cut.append(tmp_path / f"cut-{twentieth}")
        cut[-1].write_bytes(data[: len(data) * twentieth // 20])
    words = tmp_path / "words.txt"
    words.write_text("cat\n")
    command = [sys.executable, "-c", LOAD, words if listed else "", *cut]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 20


def test_what_only_begins_as_a_binary_is_refused(tmp_path):
    path = tmp_path / "model.binary"
    path.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(range(256)))
    with pytest.raises(DecoderError, match="no whole KenLM binary"):
        load_language_model(path)


printable = st.characters(exclude_categories=("C", "Z"), codec="utf-8")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(st.text(printable, min_size=1, max_size=8), min_size=1, max_size=20))
def test_any_words_survive_the_way_into_a_binary(tmp_path, words):
    words = {word for word in words if "<" not in word and not word.startswith("\\")}
    lines = "".join(f"-1.0\t{word}\t0\n" for word in sorted(words))
    arpa = tmp_path / "any.arpa"
    marks = "-1\t<unk>\n0\t<s>\t0\n-1\t</s>\n"
    counts = f"\\data\\\nngram 1={len(words) + 3}\nngram 2=1\n"
    sections = f"\n\\1-grams:\n{marks}{lines}\n\\2-grams:\n-0.5\t<s> </s>\n\n\\end\\\n"
    arpa.write_text(counts + sections, encoding="utf-8")
    if not words:
        return
    with arpa.open("rb") as source:
        convert(source, tmp_path / "any.binary")
    assert read_words(tmp_path / "any.binary") == read_words(arpa) == words


def test_convert_tells_size_and_time_and_writes_in_a_case(arpa, tmp_path, capsys):
    upper, output = tmp_path / "upper.arpa.gz", tmp_path / "lm.binary"
    text = ARPA.replace("cat", "CAT").replace("cot", "COT").replace("dog", "DOG")
    upper.write_bytes(gzip.compress(text.replace("<unk>", "<UNK>").encode()))
    status, out, err = lm(capsys, "convert", upper, "--case", "lower", "--output", output)
    assert (status, err) == (0, "")
    assert "1-grams │ 6" in out
    assert "→" in out
    model = load_language_model(output)
    assert model.words == WORDS
    assert model.kenlm.score("cat") == pytest.approx(kenlm.Model(str(arpa)).score("cat"), abs=1e-5)


def test_words_that_become_the_same_are_refused_by_name(tmp_path, capsys):
    path, output = tmp_path / "model.arpa", tmp_path / "lm.binary"
    path.write_text(ARPA.replace("cot", "Cat"))
    output.write_text("old")
    status, _, err = lm(capsys, "convert", path, "--case", "lower", "--output", output)
    assert status == 1
    assert "'Cat'" in err or "'cat'" in err
    assert output.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lm.binary", "model.arpa"]


@pytest.mark.parametrize(
    "damaged",
    [
        ARPA[: ARPA.index("-1.5")],
        ARPA.replace("1=6", "1=60"),
        ARPA.replace("-0.1\t<s>", "-0.1 <s>x"),
    ],
    ids=["cut", "wrong count", "unknown word"],
)
def test_a_damaged_model_leaves_the_old_file(damaged, tmp_path, capsys):
    path, output = tmp_path / "model.arpa", tmp_path / "lm.binary"
    path.write_text(damaged)
    output.write_text("old")
    status, _, err = lm(capsys, "convert", path, "--output", output)
    assert status == 1
    assert err.startswith("error: ")
    assert output.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lm.binary", "model.arpa"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"type": "hash"}, "type 'hash'"),
        ({"type": "probing", "quantize_bits": 8}, "only type trie"),
        ({"quantize_bits": 1}, "quantize 1"),
        ({"memory": "much"}, "memory 'much'"),
    ],
)
def test_options_that_make_no_sense_are_named(options, says):
    with pytest.raises(DecoderError, match=says):
        BinaryOptions(**options)


SENTENCES = [
    "The cat's here.",
    "a dog",
    "a dog",
    "A DOG saw a cat",
    "room 12",
    "a cat saw a dog",
] * 3


def test_train_writes_as_the_acoustic_model_does(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n".join(SENTENCES))
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": "a.wav", "text": "bird\u2019s"}))
    prefix = tmp_path / "out"
    texts = (tmp_path / "text.txt", manifest)
    status, out, _ = lm(
        capsys, "train", *texts, "--output", prefix, "--held-out", 0, "--order", 2, *LETTERS
    )
    assert status == 0
    assert "3 sentences for 3 words" in out  # with the number
    model = load_language_model(f"{prefix}.binary")
    assert model.words == {"the", "cat's", "here", "a", "dog", "saw", "cat", "bird's"}
    assert load_language_model(f"{prefix}.arpa.gz").words == model.words
    assert set((tmp_path / "out.words.txt").read_text().split()) == model.words
    assert model.kenlm.score("a dog") > model.kenlm.score("dog a")


def test_held_out_sentences_are_in_the_model_in_no_copy(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n".join(["alpha beta", *SENTENCES, "alpha beta"]))
    (tmp_path / "held.txt").write_text("Alpha, beta!\n")
    arguments = ("--output", tmp_path / "out", "--held-out", tmp_path / "held.txt", *LETTERS)
    status, out, _ = lm(capsys, "train", tmp_path / "text.txt", *arguments)
    assert status == 0
    assert "unknown words │ 2 (100.00%)" in out
    assert "alpha" not in read_words(tmp_path / "out.binary")


def test_pruning_leaves_rare_n_grams_out(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n".join([*SENTENCES, "here saw"]))
    sizes = []
    for prune in ((), ("--prune", 0, 1)):
        arguments = ("--output", tmp_path / "out", "--held-out", 0, "--order", 2, *prune)
        lm(capsys, "train", tmp_path / "text.txt", *arguments, *LETTERS)
        arpa = gzip.decompress((tmp_path / "out.arpa.gz").read_bytes())
        sizes.append(int(arpa.split(b"ngram 2=")[1].split()[0]))
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("text", ["", "12 34\n"], ids=["empty", "digits alone"])
def test_nothing_to_train_on_is_an_error(text, tmp_path, capsys):
    (tmp_path / "text.txt").write_text(text)
    arguments = ("--output", tmp_path / "out", *LETTERS)
    status, _, err = lm(capsys, "train", tmp_path / "text.txt", *arguments)
    assert status == 1
    assert "nothing to train on" in err
    assert [file.name for file in tmp_path.iterdir()] == ["text.txt"]


def test_missing_tools_are_asked_for(tmp_path, arpa, monkeypatch, capsys):
    monkeypatch.setenv("KENLM_BIN", str(tmp_path))
    status, _, err = lm(capsys, "convert", arpa, "--output", tmp_path / "lm.binary")
    assert status == 1
    assert "make kenlm-tools" in err


def test_perplexity_is_kenlms(arpa):
    model = load_language_model(arpa).kenlm
    texts = ["cat", "cot dog", "bird cat"]
    found = fit(model, texts)
    assert (found.sentences, found.words, found.unknown) == (3, 5, 1)
    log10 = sum(map(model.score, texts))
    assert found.perplexity == pytest.approx(10 ** (-log10 / 8))
    [unknown] = [p for p, _, oov in model.full_scores("bird cat") if oov]
    assert found.known_perplexity == pytest.approx(10 ** (-(log10 - unknown) / 7))


def test_info_is_the_same_for_every_kind_of_file(arpa, binary, tmp_path, capsys):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": "a.wav", "text": "cat bird"}))
    facts = []
    for path in (arpa, binary):
        status, out, _ = lm(capsys, "info", path, "--manifest", manifest, "--format", "json")
        assert status == 0
        facts.append(json.loads(out))
    for name in ("order", "counts", "words", "warnings"):
        assert facts[0][name] == facts[1][name]
    assert facts[0]["counts"] == [6, 3]
    assert facts[0]["text"]["unknown_rate"] == facts[1]["text"]["unknown_rate"] == 0.5


@pytest.mark.parametrize(
    ("rename", "says"),
    [
        ({}, ""),
        ({"cat": "CAT", "cot": "COT", "dog": "DOG"}, "--lm-case upper"),
        ({"cat": chr(100), "cot": chr(101), "dog": chr(102)}, "a model of tokens"),
        ({"cot": "câté"}, "cannot write"),
    ],
    ids=["fitting", "upper case", "tokens", "accents"],
)
def test_info_warns_of_what_cannot_help(rename, says, tmp_path, capsys):
    text = ARPA
    for old, new in rename.items():
        text = text.replace(old, new)
    path = tmp_path / "model.arpa"
    path.write_text(text)
    status, out, _ = lm(capsys, "info", path, *LETTERS)
    assert status == 0
    assert says in out
    assert ("warning" in out) == bool(says)
