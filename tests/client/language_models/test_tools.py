"""KenLM's own tools and files: what fails says why, what is interrupted leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.__main__ import main
from client.errors import DecoderError
from client.language_models import load_language_model, read_words
from client.language_models.binary import read_header
from client.language_models.cases import CASES
from client.language_models.convert import convert
from client.language_models.spelling import Spelling
from client.language_models.tools import feed, find_tool
from client.language_models.train import TrainingOptions, train
from tests.client.language_models.test_arpa import words_of_scripts
from tests.client.support import ARPA, CONTRACT, scripted_server
from tests.conftest import PROJECT

BUILD_BINARY = find_tool("build_binary")

ENGLISH = Spelling.of_contract(CONTRACT)


def build(tmp_path, text, *options):
    """A binary of KenLM's own making."""
    arpa, binary = tmp_path / "model.arpa", tmp_path / "model.binary"
    arpa.write_text(text, encoding="utf-8")
    subprocess.run([BUILD_BINARY, *options, arpa, binary], check=True, capture_output=True)
    return binary


def arpa_of(words):
    """A model of these words, without n-grams of theirs."""
    lines = "".join(f"-1\t{word}\t0\n" for word in words)
    return (
        f"\\data\\\nngram 1={len(words) + 3}\nngram 2=1\n\n\\1-grams:\n-1\t<unk>\n0\t<s>\t0\n"
        f"-1\t</s>\n{lines}\n\\2-grams:\n-0.5\t<s> </s>\n\n\\end\\\n"
    )


@pytest.mark.parametrize("options", [("probing",), ("trie",), ("-a", "255", "trie")])
def test_words_that_end_as_the_first_one_does_are_found(options, tmp_path):
    words = {"a", "b<unk>", "c<unk>", "<unk>d", "e"}
    binary = build(tmp_path, arpa_of(sorted(words)), *options)
    assert load_language_model(binary).words == words


@pytest.mark.parametrize("options", [("probing",), ("trie",)])
def test_a_model_without_unk_is_read(options, tmp_path):
    text = ARPA.replace("1=6", "1=5").replace("-1.0\t<unk>\n", "")
    assert load_language_model(build(tmp_path, text, *options)).words == {"cat", "cot", "dog"}


def test_a_binary_without_its_words_asks_for_them(tmp_path):
    binary = build(tmp_path, ARPA, "-v", "trie")
    listed = tmp_path / "words.txt"
    listed.write_text("cat\n")
    with pytest.raises(DecoderError, match="pass a list of them as unigrams"):
        load_language_model(binary)
    assert load_language_model(binary, listed).words == {"cat"}


@pytest.mark.parametrize(
    ("at", "value"),
    [(88, b"\0"), (88, b"\xff"), (92, b"\0\0\xc0\xff"), (96, b"\x09"), (108, b"\xff" * 8)],
    ids=["order 0", "order 255", "NaN places", "structure 9", "too many words"],
)
@pytest.mark.parametrize("kind", ["probing", "trie"])
def test_a_header_that_lies_is_refused_before_kenlm_believes_it(at, value, kind, tmp_path):
    binary = build(tmp_path, ARPA, kind)
    data = bytearray(binary.read_bytes())
    data[at : at + len(value)] = value
    binary.write_bytes(data)
    with pytest.raises(DecoderError, match="no whole KenLM binary"):
        read_header(binary)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(words_of_scripts, min_size=1, max_size=6), st.sampled_from(sorted(CASES)))
def test_a_binary_holds_the_words_in_the_case_or_there_is_none(tmp_path, words, case):
    words = {word for word in words if "<" not in CASES[case](word)}
    changed = {CASES[case](word) for word in words}
    arpa, binary = tmp_path / "any.arpa", tmp_path / "any.binary"
    arpa.write_text(arpa_of(sorted(words)), encoding="utf-8")
    binary.unlink(missing_ok=True)
    with arpa.open("rb") as source:
        if len(changed) < len(words):
            with pytest.raises(DecoderError, match="are the same as others"):
                convert(source, binary, case)
            assert not binary.exists()
        elif words:
            convert(source, binary, case)
            assert read_words(binary) == changed


def test_a_tool_that_fails_says_why():
    with (
        pytest.raises(DecoderError, match=r"failed: .*not \\data\\"),
        feed("build_binary", "/dev/stdin", "/dev/null") as stdin,
    ):
        stdin.write("no ARPA file\n" * 100_000)  # more than a pipe holds


@pytest.fixture
def scripted_tool(tmp_path, monkeypatch):
    """Makes a script stand for ``lmplz``: what KenLM's does not do when asked to."""

    def make(script):
        tool = tmp_path / "lmplz"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("KENLM_BIN", str(tmp_path))

    return make


def test_a_tool_that_is_killed_is_told_apart(scripted_tool):
    scripted_tool("kill -9 $$")
    with pytest.raises(DecoderError, match=r"signal 9.*memory"), feed("lmplz"):
        pass


def fail_once_there(path):
    while not path.exists() or not path.read_text():
        time.sleep(0.01)
    raise LookupError


def test_a_tool_ends_with_its_caller(scripted_tool, tmp_path):
    pid = tmp_path / "pid"
    scripted_tool(f"echo $$ > {pid}; exec sleep 600")
    with pytest.raises(LookupError), feed("lmplz"):
        fail_once_there(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    corpus = tmp_path / "corpus"
    os.mkfifo(corpus)
    held_open = os.open(corpus, os.O_RDWR)  # so that training waits for text
    arguments = ["lm", "train", corpus, "--output", tmp_path / "lm", "--characters", "abc"]
    command = [sys.executable, "-m", "client", *arguments]
    with subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not [*tmp_path.glob(".lm.*/held-out")]:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    os.close(held_open)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == [corpus]


def sentences(n):
    letters = "abcdefghij"
    return ["".join(letters[int(digit)] + " " for digit in str(number)) for number in range(n)]


def test_a_twentieth_of_the_distinct_sentences_is_held_out_whatever_their_order(tmp_path):
    texts = sentences(1000)
    once = train(texts, tmp_path / "once", ENGLISH)
    twice = train([*reversed(texts), *texts], tmp_path / "twice", ENGLISH)
    assert 30 <= once.held_out.sentences <= 70
    assert once.trained_sentences + once.held_out.sentences == 1000
    assert twice.held_out.sentences == 2 * once.held_out.sentences
    assert twice.held_out.unknown == once.held_out.unknown == 0


def test_training_again_gives_the_same_files(tmp_path):
    for name in ("first", "second"):
        train(sentences(100), tmp_path / name, ENGLISH)
    for suffix in (".arpa.gz", ".binary", ".words.txt"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"order": 1}, "order 1"),
        ({"order": 7}, "order 7"),
        ({"prune": (0, 1, 2, 3)}, "prune"),
        ({"prune": (1, 0)}, "prune"),
        ({"prune": (-1,)}, "negative"),
        ({"held_out": 1.0}, "held_out 1.0"),
        ({"held_out": float("nan")}, "held_out nan"),
    ],
)
def test_training_options_that_make_no_sense_are_named(options, says):
    with pytest.raises(DecoderError, match=says):
        TrainingOptions(**options)


def test_the_served_model_tells_its_characters(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("DON\u2019T\nÉTÉ\n")
    with scripted_server() as url:
        arguments = [str(text), "--output", f"{tmp_path}/", "--held-out", "0"]
        status = main(["lm", "train", *arguments, "--url", url, "--model", "demo"])
    assert status == 0
    assert "1 sentences for 1 words" in capsys.readouterr().out
    assert (tmp_path / "lm.words.txt").read_text() == "don't\n"
