"""What a model is said to be: its facts, how it fits a text, and what speaks against using it."""

import gzip
import json
import math
import re

import kenlm
import pytest

from client.__main__ import main
from client.commands.flags import FLAGS
from client.language_models import load_language_model
from client.language_models.inspection import describe, fit, problems
from client.language_models.spelling import Spelling
from tests.client.language_models.support import (
    CHARACTERS,
    TYPES,
    arpa_of,
    build,
    large_arpa,
)
from tests.client.support import ARPA, CONTRACT, PIECES, scripted_server

LOWER = Spelling.of(CHARACTERS)
TEXT = "cat\ncot dog\n\nbird\n"
# By hand from ARPA, log10, ends of sentences last: "cat" -0.1 - 0.1; "cot dog" -1.5, then backing
# off -0.3 - 2.0, and from "dog", which has no weight, -1.0; "bird" -0.3 - 1.0 as <unk>, -1.0.
LOG10, LOG10_OF_UNKNOWN = -0.2 - 4.8 - 2.3, -1.3
FITS = {
    "sentences": 3,
    "words": 4,
    "unknown": 1,
    "unknown_rate": 0.25,
    "perplexity": pytest.approx(10 ** (-LOG10 / 7), rel=1e-5),
    "known_perplexity": pytest.approx(10 ** (-(LOG10 - LOG10_OF_UNKNOWN) / 6), rel=1e-5),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model, and a text."""
    (tmp_path / "model.arpa").write_text(ARPA)
    (tmp_path / "text").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def info(*arguments):
    return main(["lm", "info", *map(str, arguments)])


def info_as_json(capsys, *arguments):
    assert info(*arguments, "--format", "json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    [line] = captured.out.splitlines()
    return json.loads(line)


@pytest.fixture
def models(folder):
    """The same model as ARPA, gzipped, and each kind of binary."""
    (folder / "gzipped").write_bytes(gzip.compress(ARPA.encode()))
    for name, options in TYPES.items():
        build(folder / "model.arpa", folder / name, options=options)
    return {"model.arpa": "ARPA", "gzipped": "ARPA"} | {
        name: f"KenLM binary, {name}" for name in TYPES
    }


def told(words, spelling):
    return [error.text(FLAGS) for error in problems(words, spelling)]


def test_arpa_and_binary_give_the_same_facts(models, folder, capsys):
    for name, structure in models.items():
        found = info_as_json(capsys, name, "--manifest", "text")
        assert found == {
            "structure": structure,
            "order": 2,
            "counts": [6, 3],
            "size_bytes": (folder / name).stat().st_size,
            "words": 3,
            "text": FITS,
            "warnings": [],
        }


def test_the_table_holds_facts_and_figures(capsys):
    assert info("model.arpa", "--manifest", "text") == 0
    out = capsys.readouterr().out
    for fact in (
        r"structure +│ ARPA",
        r"order +│ 2 ",
        r"1-grams +│ 6 ",
        r"2-grams +│ 3 ",
        r"words +│ 3 without",
        r"text +│ 3 sentences, 4 words",
        r"unknown words +│ 1 \(25\.00%\)",
        rf"perplexity +│ {10 ** (7.3 / 7):.2f}",
        r"of known words +│ 10\.00",
    ):
        assert re.search(fact, out)
    assert "warning" not in out


def test_without_a_text_nothing_is_measured(capsys):
    assert "text" not in info_as_json(capsys, "model.arpa")


def test_a_manifests_texts_are_measured(folder, capsys):
    lines = [json.dumps({"audio_filepath": "a.wav", "text": text}) for text in TEXT.split("\n")]
    (folder / "m.jsonl").write_text("\n".join(lines))
    assert info_as_json(capsys, "model.arpa", "--manifest", "m.jsonl")["text"] == FITS


def test_perplexity_is_that_of_kenlms_scores(folder):
    text, sentences = large_arpa()
    (folder / "large").write_text(text)
    texts = [f"{sentence} unheard" * (n % 3 + 1) for n, sentence in enumerate(sentences)]
    found = fit(load_language_model(folder / "large"), texts)
    model = kenlm.Model(str(folder / "large"))
    n = sum(len(text.split()) + 1 for text in texts)
    assert found.words + found.sentences == n
    assert found.perplexity == pytest.approx(10 ** (-sum(map(model.score, texts)) / n))
    assert found.unknown == sum(word not in model for text in texts for word in text.split())


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["cat\tcot\n"], 2),
        (["  cat   cot  "], 2),
        (["cat\N{NO-BREAK SPACE}cot"], 2),
        (["cat\x0bcot\x85cat"], 3),
        (["cat \ud800 cot"], 3),
        (["", " ", "\n"], 0),
    ],
)
def test_words_are_what_white_space_parts(texts, words, folder):
    found = fit(load_language_model(folder / "model.arpa"), texts)
    assert found.words == words
    assert found.sentences == bool(words)
    assert math.isinf(found.perplexity) == (not words)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty", b"", "empty: holds no text"),
        ("blank", b"\n \n", "blank: holds no text"),
        ("gone", None, "gone: cannot read it"),
        ("m.jsonl", b'{"audio_filepath": "a.wav"}', "m.jsonl line 1 lacks text"),
    ],
)
def test_a_text_without_text_is_an_error(name, data, says, folder, capsys):
    if data is not None:
        (folder / name).write_bytes(data)
    assert info("model.arpa", "--manifest", name) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {says}")


def test_a_model_of_tokens_is_warned_of(folder, capsys):
    (folder / "tokens").write_text(arpa_of(chr(100 + token) for token in range(128)))
    [warning] = info_as_json(capsys, "tokens")["warnings"]
    assert "chr(token + 100)" in warning
    assert "lm train" in warning
    (folder / "pieces").write_text(arpa_of(["▁the", "▁ca", "t", "s", "▁"]))
    assert info("pieces") == 0
    assert "warning: 5 of 5 words" in capsys.readouterr().out


def test_a_model_of_words_some_of_one_letter_is_not():
    assert not problems(["a", "i", "o", "the", "cat"], None)
    assert not problems(["a", "i", "o", "the", "cat"], LOWER)


def test_another_case_is_warned_of_with_what_mends_it(folder, capsys):
    (folder / "upper").write_text(arpa_of(["CAT", "DOG", "it's"]))
    [warning] = info_as_json(capsys, "upper", "--characters", CHARACTERS)["warnings"]
    assert "2 of 3 words (66.7%)" in warning
    assert "'CAT', 'DOG'" in warning
    assert "language model's case upper" in warning
    assert "--lm-case" in warning
    assert "to case lower" in warning
    [warning] = info_as_json(capsys, "model.arpa", "--characters", CHARACTERS.upper())["warnings"]
    assert "language model's case lower" in warning
    assert "to case upper" in warning


def test_the_other_case_of_a_turkish_model_is_turkish():
    turkish = Spelling.of("a\u0131iprst")
    [warning] = told(["ISPARTA", "\u0130PT\u0130"], turkish)
    assert "language model's case upper-tr" in warning
    assert "to case lower-tr" in warning
    assert "--lm-case, `nemo-ctc lm convert`, --case" in warning


def test_words_of_mixed_case_are_not_found_by_writing_in_one():
    [warning] = told(["Cat", "Dog"], LOWER)
    assert "to case lower" in warning
    assert "--lm-case" not in warning


def test_characters_that_cannot_be_written_are_warned_of():
    [warning] = told(["cat", "café", "r2d2", "ÉTÉ"], LOWER)
    assert "3 of 4 words (75.0%)" in warning
    assert "'café', 'r2d2', 'ÉTÉ'" in warning
    assert "never be found" in warning


def test_each_thing_that_speaks_against_a_model_is_said():
    in_other_case, strange = told(["cat", "DOG", "r2"], LOWER)
    assert "'DOG'" in in_other_case
    assert "'r2'" in strange


@pytest.mark.parametrize(("contract", "n_warnings"), [(CONTRACT, 0), (PIECES, 1)])
def test_the_served_models_characters_decide(contract, n_warnings, capsys):
    with scripted_server(contract_json=contract.to_json()) as url:
        found = info_as_json(capsys, "model.arpa", "--model", "demo", "--url", url)
    assert len(found["warnings"]) == n_warnings  # "dog" has a "d"
    assert all("'dog'" in warning for warning in found["warnings"])


def test_a_server_that_is_not_there_is_an_error(capsys):
    assert info("model.arpa", "--model", "demo", "--url", "127.0.0.1:1") == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_output_appears_whole_or_stays_as_it_was(folder, capsys):
    assert info("model.arpa", "--format", "json", "--output", "out.json") == 0
    assert capsys.readouterr().out == ""
    assert json.loads((folder / "out.json").read_text())["order"] == 2
    assert info("gone.arpa", "--output", "out.json") == 1
    assert json.loads((folder / "out.json").read_text())["order"] == 2
    assert not [*folder.glob(".*")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "cannot read it: No such file"),
        (b"", "is empty"),
        (b"text\n", "found no words"),
        (b"mmap lm http://kheafield.com/code", "is no whole KenLM binary"),
    ],
    ids=["missing", "empty", "text", "magic alone"],
)
def test_what_is_no_model_is_an_error(data, says, folder, capsys):
    if data is not None:
        (folder / "bad").write_bytes(data)
    assert info("bad") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: bad: ")
    assert says in captured.err


def test_the_description_counts_what_the_header_says(folder):
    description = describe(folder / "model.arpa")
    assert description.counts == (6, 3)
    assert description.words == {"cat", "cot", "dog"}
