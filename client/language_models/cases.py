"""The letter case of words: the names that options and commands share, and their functions.

``lower-tr`` and ``upper-tr`` are for Turkish and its relatives, where ``I`` is ``ı`` in small
letters and ``i`` is ``İ`` in capitals. In other languages ``İ``, which occurs in names, is
``i``: Python makes two characters of it, the second a dot that no vocabulary has.
"""

# ruff: noqa: RUF001, RUF002 -- letters that look alike are the subject

from collections.abc import Callable, Mapping
from typing import Final

_DECOMPOSED: Final = "I\u0307"
_TO_LOWER: Final = str.maketrans("Iİ", "ıi")
_TO_UPPER: Final = str.maketrans("ıi", "Iİ")


def _lower(text: str) -> str:
    return text.replace(_DECOMPOSED, "i").replace("İ", "i").lower()


def _lower_turkish(text: str) -> str:
    return text.replace(_DECOMPOSED, "i").translate(_TO_LOWER).lower()


def _upper_turkish(text: str) -> str:
    return text.translate(_TO_UPPER).upper()


CASES: Final[Mapping[str, Callable[[str], str]]] = {
    "keep": str,
    "lower": _lower,
    "upper": str.upper,
    "lower-tr": _lower_turkish,
    "upper-tr": _upper_turkish,
}
"""The function of each case; ``keep`` changes nothing."""

WORD_CASES: Final = tuple(CASES)
OPPOSITES: Final = {
    "lower": "upper",
    "upper": "lower",
    "lower-tr": "upper-tr",
    "upper-tr": "lower-tr",
}
"""The opposite of each case."""


def letters(case: str, characters: str) -> dict[str, tuple[str, str]]:
    """How each character is written within a word, and at its end; nothing for ``keep``.

    Character by character, as a search spells: a word's case can depend on its neighbours only at
    the end (Greek Σ).
    """
    if case == "keep":
        return {}
    write = CASES[case]
    return {each: (write(f"a{each}a")[1:-1], write(f"a{each}")[1:]) for each in characters}


def case_of(characters: frozenset[str]) -> str:
    """The case that all letters of a vocabulary are in; ``keep`` for both or none.

    It is Turkish with a dotless i, or in capitals a dotted one, and without the w of others'.
    """
    lower, upper = any(map(str.islower, characters)), any(map(str.isupper, characters))
    if lower == upper:
        return "keep"
    case, its_i, their_w = ("lower", "ı", "w") if lower else ("upper", "İ", "W")
    return f"{case}-tr" if its_i in characters and their_w not in characters else case
