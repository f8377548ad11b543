"""How an acoustic model writes, and text written its way: case, apostrophes, punctuation.

A language model helps only with words that the acoustic model can write, in its characters.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ..errors import DecoderError
from ..vocabulary import WORD_START
from ..wire.contract import Contract
from .arpa import MARKS
from .cases import CASES, WORD_CASES, case_of

_APOSTROPHES: Final = "'’ʼ＇`´"  # noqa: RUF001 -- that is what they are
_is_mark = re.compile(r"<.+>|\[.+\]").fullmatch
"""Tokens that stand for no characters, such as ``<unk>``."""


@dataclass(frozen=True)
class Spelling:
    """The characters of an acoustic model, without space, and the case (of ``WORD_CASES``)."""

    characters: frozenset[str]
    case: str

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` when there are no characters or the case is unknown."""
        if not self.characters:
            raise DecoderError("the acoustic model has no characters: expected its vocabulary's")
        if self.case not in WORD_CASES:
            raise DecoderError(f"case {self.case!r} is not in {WORD_CASES}")

    @classmethod
    def of(cls, characters: Iterable[str], case: str | None = None) -> "Spelling":
        """Of a set of characters; without ``case``, the one that all their letters are in."""
        known = frozenset("".join(characters)) - {" "}
        return cls(known, case_of(known) if case is None else case)

    @classmethod
    def of_contract(cls, contract: Contract, case: str | None = None) -> "Spelling":
        """Of a served model's vocabulary, whose pieces mark the start of a word by ``▁``."""
        text = "".join(label for label in contract.vocabulary if not _is_mark(label))
        if contract.vocabulary_kind == "sentencepiece":
            text = text.replace(WORD_START, "")
        return cls.of(text, case)

    def write(self, text: str) -> str:
        """``text`` in the model's way, as far as possible; one space between words.

        Sets the case, writes the apostrophe as the model does, and takes punctuation that the
        model lacks away: nothing is left of an apostrophe, a space of other marks. Letters with
        accents are composed or taken apart if it is that which makes them the model's.
        """
        text = CASES[self.case](text.translate(self._replacements))
        written = " ".join(text.split())
        if not self.unwritable(written):
            return written
        forms = (unicodedata.normalize(form, written) for form in ("NFC", "NFD"))
        return next((form for form in forms if not self.unwritable(form)), written)

    def unwritable(self, text: str) -> frozenset[str]:
        """What the model cannot write of words: their characters, or KenLM's marks as words."""
        return frozenset(text).difference(self.characters, " ") or MARKS.intersection(text.split())

    @cached_property
    def _replacements(self) -> dict[int, str]:
        return _Replacements(self.characters)


class _Replacements(dict[int, str]):
    """A table for ``str.translate`` that is filled as characters come."""

    def __init__(self, known: frozenset[str]) -> None:
        super().__init__()
        self._known = known
        self._apostrophe = next((mark for mark in _APOSTROPHES if mark in known), "")

    def __missing__(self, code: int) -> str:
        self[code] = self._replacement(chr(code))
        return self[code]

    def _replacement(self, character: str) -> str:
        if character in self._known:
            return character
        if character in _APOSTROPHES:
            return self._apostrophe
        return " " if unicodedata.category(character).startswith("P") else character
