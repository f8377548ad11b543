"""Texts that UTF-8 cannot hold end nothing: JSON gives them back, other text has a ``?``."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.__main__ import main
from client.evaluation.references import Tokenizers
from client.utils.utf8 import holds, json_text, replaced
from tests.client.support import PIECES, encoded

HALF = "half \ud83d"
LATIN_1 = os.fsdecode("caf\xe9.wav".encode("latin-1"))
LONE = {"audio_filepath": LATIN_1, "text": "cat", "note": {HALF: [HALF]}}
LINES = [
    {"audio_filepath": "a.wav", "text": HALF},
    LONE,
    {"audio_filepath": f"{HALF}.wav", "text": "cat"},
]


@given(st.text(st.characters(exclude_categories=())))
def test_json_in_utf_8_gives_every_text_back(text):
    # Two halves that meet are a character, in any JSON.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(json_text([text]).encode()) == [whole]
    assert replaced(text) == text.encode(errors="replace").decode()
    assert holds({"text": text}) is (replaced(text) == text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with recordings, one of a Latin-1 name, and a manifest of texts' halves."""
    for name in ("a.wav", LATIN_1):
        (tmp_path / name).write_bytes(encoded(np.zeros(16000, np.int16)))
    (tmp_path / "m.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *arguments, url):
    return main([command, "--manifest", "m.jsonl", *arguments, "--model", "demo", "--url", url])


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_bulk_results_hold_them_and_are_gone_on_with(folder, server):
    arguments = ["--format", "jsonl", "--output", "out.jsonl"]
    for more in ([], ["--resume"]):
        assert run("transcribe", *arguments, *more, url=server) == 1
        first, second, third = records(folder / "out.jsonl")
        assert (first["text"], first["pred_text"]) == (HALF, "cat")
        assert {**second, **LONE} == second
        assert second["pred_text"] == "cat"
        assert "cannot be a path" in third["error"]
        (failure,) = records(folder / "out.errors.jsonl")
        assert (failure["line"], failure["audio_filepath"]) == (3, f"{HALF}.wav")
    assert failure["attempts"] == 2


@pytest.mark.parametrize("form", ["text", "jsonl", "ctm", "vtt", "srt"])
@pytest.mark.parametrize("output", ["file", "standard output"])
def test_every_format_takes_them(form, output, folder, server, capsys):
    (folder / "out").mkdir()
    arguments = ["--format", form]
    if form in ("vtt", "srt"):
        arguments += ["--output", "out"]
    elif output == "file":
        arguments += ["--output", "out/put"]
    assert run("transcribe", *arguments, url=server) == 1
    written = [path.read_text(encoding="utf-8") for path in (folder / "out").iterdir()]
    assert "".join([*written, capsys.readouterr().out]).count("cat") >= 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_evaluation_of_them_comes_to_its_end(form, folder, server, capsys):
    arguments = ["--format", form, "--report", "r.html", "--cache", "kept"]
    for _ in range(2):  # the second time, the acoustic model's outputs are kept
        assert run("evaluate", *arguments, url=server) == 1
        captured = capsys.readouterr()
        assert "half" in captured.out
        assert ".wav: cannot be a path" in captured.err
    assert "half \\ud83d" in (folder / "r.html").read_text(encoding="utf-8")


def test_a_manifests_check_names_them(folder, capsys):
    lines = [{**line, "duration": 1.0} for line in LINES]
    (folder / "m.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["manifest", "--check", "m.jsonl"]) == 1
    said = capsys.readouterr().err.splitlines()
    for line, (number, name) in zip(said, [(1, "text"), (2, "note"), (3, "audio")], strict=True):
        assert line.startswith(f"error: m.jsonl line {number}: ")
        assert name in line
        assert "UTF-8 cannot encode it" in line


def test_a_tokenizer_is_not_asked_for_what_it_cannot_encode(monkeypatch):
    """SentencePiece itself raises UnicodeEncodeError."""

    class Model:
        def unk_id(self):
            return 0

        def encode(self, text):
            text.encode()
            return [1]

    tokenizers = Tokenizers()
    monkeypatch.setattr(tokenizers, "_by_pieces", {PIECES.vocabulary: Model()})
    spell = tokenizers.spell(PIECES)
    assert (spell("ca"), spell(HALF)) == ([1], None)
