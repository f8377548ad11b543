"""Text is written as the acoustic model writes it, and what it cannot write is counted."""

# ruff: noqa: RUF001 -- letters that look alike are what is tested

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.errors import DecoderError, ManifestError
from client.language_models.spelling import Spelling
from client.language_models.texts import Tally, read_texts, writable
from tests.client.support import CONTRACT, PIECES

ENGLISH = Spelling.of_contract(CONTRACT)


@pytest.mark.parametrize(
    ("characters", "text", "written"),
    [
        ("abc", "A, b; C!", "a b c"),
        ("ABC", "a-b (c)", "A B C"),
        ("abcABC,", "a, B", "a, B"),
        ("cdnot'", "Don’t", "don't"),
        ("cdnot’", "don't", "don’t"),
        ("cdnot", "don’t", "dont"),
        ("é", "e\u0301 É", "é é"),
        ("e\u0301", "é", "e\u0301"),
        ("abc", "a\u00a0b\u3000\tc\r\n", "a b c"),
        ("猫", "猫。", "猫"),
        ("абв", "АБ «В»", "аб в"),
        ("aıiprstu", "ISPARTA İpsi", "ısparta ipsi"),
        ("aıiprstu", "I\u0307psi", "ipsi"),
        ("AIİPRSTU", "ısparta ipsi", "ISPARTA İPSİ"),
        ("aıiprstuw", "IS İpsi", "is ipsi"),
        ("aiprstu", "IS İpsi", "is ipsi"),
    ],
    ids=[
        "lower", "upper", "both cases", "apostrophe", "its own apostrophe", "no apostrophe",
        "composed", "taken apart", "spaces", "no case", "other script",
        "Turkish", "Turkish taken apart", "Turkish capitals", "many languages", "a Turkish name",
    ],
)  # fmt: skip
def test_text_is_written_in_the_models_characters(characters, text, written):
    spelling = Spelling.of(characters)
    assert spelling.write(text) == written
    assert not spelling.unwritable(written)


@given(st.text(st.sampled_from("abzAZ'’-,. \t\n19é$<>/sunk")))
def test_writing_again_changes_nothing(text):
    written = ENGLISH.write(text)
    assert ENGLISH.write(written) == written
    assert " ".join(written.split()) == written


def test_a_case_may_be_asked_for():
    assert Spelling.of("abc", "keep").write("Ab") == "Ab"
    with pytest.raises(DecoderError, match="case 'title'"):
        Spelling.of("abc", "title")


def test_characters_of_pieces_are_theirs_without_the_mark():
    assert Spelling.of_contract(PIECES).characters == set("caots")
    marked = replace(CONTRACT, vocabulary=("<unk>", "[PAD]", " ", "a"), blank=4)
    assert Spelling.of_contract(marked).characters == {"a"}


def test_a_model_without_characters_is_refused():
    with pytest.raises(DecoderError, match="no characters"):
        Spelling.of(" ")


def test_kenlms_marks_are_no_words():
    spelling = Spelling.of("<s>/unk")
    assert spelling.unwritable("sun <s>") == {"<s>"}
    assert not spelling.unwritable("sun <sun>")


def test_what_cannot_be_written_is_counted():
    tally = Tally()
    texts = ["room 12", "a $5 bill, 1st", "yes", "", "…", "ﬀ"]
    assert list(writable(texts, ENGLISH, tally)) == ["yes"]
    assert (tally.sentences, tally.skipped_sentences, tally.unwritable_words) == (1, 3, 4)
    assert dict(tally.unwritable_characters) == {"1": 2, "2": 1, "$": 1, "5": 1, "ﬀ": 1}


def test_a_lone_surrogate_is_no_character(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"audio_filepath": "a.wav", "text": "cat \ud800"}))
    assert list(writable(read_texts([path]), ENGLISH, Tally())) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"audio_filepath": "a.wav"}', "line 1 lacks text"),
        ('{"text": 5}', "line 1"),
        ("hello", "is not JSON"),
        ("[]", "is a JSON list"),
    ],
)
def test_a_manifest_without_text_is_refused(line, says, tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text(line)
    with pytest.raises(ManifestError, match=says):
        list(read_texts([path]))


def test_text_alone_makes_a_manifest_to_train_on(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"text": "a cat"}\n\n{"text": ""}\n')
    assert list(read_texts([path])) == ["a cat", ""]


@pytest.mark.parametrize("data", [b"caf\xe9\n", b"\x1f\x8b\x08broken"], ids=["Latin-1", "half"])
def test_a_text_file_that_cannot_be_read_is_an_error(data, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    with pytest.raises(DecoderError, match=r"text\.txt: cannot read it.*one sentence a line"):
        list(read_texts([path]))
    with pytest.raises(DecoderError, match="cannot read it"):
        list(read_texts([tmp_path / "gone.txt"]))
