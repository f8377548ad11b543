"""Tokens become the text that NeMo writes; tests/export/test_subwords.py holds it against NeMo."""

import pytest

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
    ("vocabulary", "text"),
    [((" ", "a", "'"), " a'a"), ((" ", "a", "]"), " a]a"), ((" ", "a", "▁"), " a ▁a")],
    ids=str,
)
def test_characters_stand_for_themselves_but_for_a_space_before_punctuation(vocabulary, text):
    assert Detokenizer(vocabulary, "char").text([0, 1, 0, 2, 1]) == text
