"""From a model's tokens to text, as NeMo writes it: the one place that knows the vocabularies.

Characters stand for themselves. SentencePiece marks the start of a word by ``▁`` and writes what
it does not know as `` ⁇ ``. In both, a space before a punctuation mark of the vocabulary goes.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

WORD_START: Final = "▁"
UNKNOWN: Final = " ⁇ "
_UNKNOWN_PIECE: Final = "<unk>"
_NO_PUNCTUATION: Final = re.compile(rf"<.*>|\[.*\]|(##|{WORD_START}).*|\s*")
"""Labels whose characters NeMo does not take for punctuation marks."""
_WORD: Final = re.compile(r"\S+")


class WordSpan(NamedTuple):
    """A word of a text, and the positions of the first and the last token that write it."""

    text: str
    first: int
    last: int


class Detokenizer:
    """Writes tokens as text: ``vocabulary`` in order, without the blank, of a contract's kind."""

    def __init__(self, vocabulary: Sequence[str], vocabulary_kind: str) -> None:
        self.in_pieces: Final = vocabulary_kind == "sentencepiece"
        self.labels: Final = tuple(map(self._label, vocabulary))
        """What each token writes; in pieces, ``▁`` stands for a space."""
        self.written: Final = tuple(map(self._spaced, self.labels))
        """What each token writes, with spaces as spaces."""
        self.marks: Final = frozenset(_punctuation(vocabulary))
        """The punctuation marks that no space is written before."""
        marks = re.escape("".join(sorted(self.marks)))
        self._space_before_mark = re.compile(rf"\s(?=[{marks}])") if marks else None

    def text(self, tokens: Iterable[int]) -> str:
        """Text of ``tokens``, repeats merged and blanks dropped, white space as in NeMo.

        SentencePiece models differ in how many of several ``▁`` at the start they drop; here all.
        """
        text = "".join(self.labels[token] for token in tokens)
        if self.in_pieces:
            text = text.lstrip(WORD_START).replace(WORD_START, " ")
        return self.close_up(text)

    def words(self, tokens: Sequence[int]) -> list[WordSpan]:
        """The words of ``text(tokens)``, as ``split()`` has them, and where they come from."""
        written = [self.written[token] for token in tokens]
        text = "".join(written)
        ends = list(accumulate(map(len, written)))  # of each token in the text
        words: list[WordSpan] = []
        for match in _WORD.finditer(text):
            word, first = match[0], bisect_right(ends, match.start())
            last = bisect_right(ends, match.end() - 1)
            one_space_before = match.start() > 1 and not text[match.start() - 2].isspace()
            if words and word[0] in self.marks and one_space_before:
                word, first = words[-1].text + word, words.pop().first
            words.append(WordSpan(word, first, last))
        return words

    def close_up(self, text: str) -> str:
        """``text`` without the space before a punctuation mark."""
        return self._space_before_mark.sub("", text) if self._space_before_mark else text

    def _spaced(self, label: str) -> str:
        return label.replace(WORD_START, " ") if self.in_pieces else label

    def _label(self, label: str) -> str:
        return UNKNOWN if self.in_pieces and label == _UNKNOWN_PIECE else label


def _punctuation(vocabulary: Iterable[str]) -> set[str]:
    return {
        character
        for label in vocabulary
        if not _NO_PUNCTUATION.fullmatch(label)
        for character in label
        if unicodedata.category(character).startswith("P")
    }
