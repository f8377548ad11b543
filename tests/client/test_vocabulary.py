"""Tokens become the text that NeMo writes; tests/export/test_subwords.py holds it against NeMo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.vocabulary import Detokenizer

PIECES = ("<unk>", "▁one", "▁", "e", "'s", ".", "▁!")


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([], ""),
        (["▁one", "e", "▁one"], "onee one"),
        (["e", "▁one"], "e one"),
        (["▁", "▁", "▁one"], "one"),
        (["▁one", "▁", "▁one"], "one  one"),
        (["▁one", "▁", "e"], "one e"),
        (["▁one", "▁"], "one "),
        (["▁"], ""),
        (["▁one", "<unk>", "▁one"], "one ⁇  one"),
        (["<unk>", "e"], " ⁇ e"),
    ],
    ids=str,
)
def test_pieces_are_written_as_sentencepiece_writes_them(pieces, text):
    assert Detokenizer(PIECES, "sentencepiece").text(map(PIECES.index, pieces)) == text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["▁one", "▁", "."], "one."),
        (["▁one", "▁", "'s", "▁", "."], "one's."),
        (["▁one", "▁", "▁", "."], "one ."),
        (["▁one", "▁!"], "one !"),  # as a start of a word only, it is none of NeMo's marks
        (["▁", "."], "."),
    ],
    ids=str,
)
def test_a_space_before_a_punctuation_mark_of_the_vocabulary_goes(pieces, text):
    assert Detokenizer(PIECES, "sentencepiece").text(map(PIECES.index, pieces)) == text


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["▁one", "e", "▁one"], [("onee", 0, 1), ("one", 2, 2)]),
        (["▁", "▁one", "▁", "e"], [("one", 1, 1), ("e", 3, 3)]),
        (["▁one", "<unk>", "e"], [("one", 0, 0), ("⁇", 1, 1), ("e", 2, 2)]),
        (["▁one", "▁", "'s", "▁", "."], [("one's.", 0, 4)]),
        (["▁one", "▁", "▁", "."], [("one", 0, 0), (".", 3, 3)]),
        (["▁", "."], [(".", 1, 1)]),
        (["▁"], []),
    ],
    ids=str,
)
def test_words_know_which_tokens_write_them(pieces, words):
    assert Detokenizer(PIECES, "sentencepiece").words([*map(PIECES.index, pieces)]) == words


@pytest.mark.parametrize("kind", ["char", "sentencepiece"])
@given(tokens=st.lists(st.integers(0, 9)))
def test_words_are_always_those_of_the_text(kind, tokens):
    vocabulary = (
        "<unk>",
        " " if kind == "char" else "▁",
        "a",
        "b",
        ".",
        "'s",
        "▁a",
        "▁!",
        ",",
        "é",
    )
    detokenizer = Detokenizer(vocabulary, kind)
    words = detokenizer.words(tokens)
    assert [word.text for word in words] == detokenizer.text(tokens).split()
    spans = [(word.first, word.last) for word in words]
    assert spans == sorted(spans)
    assert all(first <= last < len(tokens) for first, last in spans)


@pytest.mark.parametrize(
    ("vocabulary", "text"),
    [((" ", "a", "'"), " a'a"), ((" ", "a", "]"), " a]a"), ((" ", "a", "▁"), " a ▁a")],
    ids=str,
)
def test_characters_stand_for_themselves_but_for_a_space_before_punctuation(vocabulary, text):
    assert Detokenizer(vocabulary, "char").text([0, 1, 0, 2, 1]) == text
