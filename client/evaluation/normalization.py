"""What may be done to texts before they are compared: named steps, applied in the order given.

Nothing is done unless it is asked for: it changes the figures, and figures compare only where it
was the same. It is done to references and hypotheses alike.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ..language_models.cases import CASES

_APOSTROPHES: Final = "'’ʼ＇"  # noqa: RUF001 -- that is what they are
_IN_WORDS: Final = str.maketrans(dict.fromkeys(_APOSTROPHES, "'"))
_WITHOUT: Final = str.maketrans(dict.fromkeys(_APOSTROPHES))


def _punctuation(text: str) -> str:
    """Marks become spaces, save apostrophes between letters, which are written ``'``."""
    text = text.translate(_IN_WORDS)
    return "".join(
        " " if _is_mark(character) and not _is_inside(text, place) else character
        for place, character in enumerate(text)
    )


def _is_mark(character: str) -> bool:
    """Whether Unicode calls it punctuation (categories P*)."""
    return unicodedata.category(character).startswith("P")


def _is_inside(text: str, place: int) -> bool:
    """Whether it is an apostrophe with a letter or digit on both sides."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return text[place] == "'" and len(around) == 2 and around.isalnum()


def _accents(text: str) -> str:
    """Letters without what stands above or below them: é becomes e."""
    parts = unicodedata.normalize("NFD", text)
    without = "".join(part for part in parts if unicodedata.category(part) != "Mn")
    return unicodedata.normalize("NFC", without)


STEPS: Final[Mapping[str, Callable[[str], str]]] = {
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "lower": CASES["lower"],
    "lower-tr": CASES["lower-tr"],
    "punctuation": _punctuation,
    "apostrophes": lambda text: text.translate(_WITHOUT),
    "accents": _accents,
}
"""By name."""

MEANINGS: Final[Mapping[str, str]] = {
    "nfkc": "one form for each character (Unicode NFKC)",
    "lower": "lower case",
    "lower-tr": "lower case in Turkish: I becomes its i without a dot",
    "punctuation": "marks become spaces, save apostrophes within words",
    "apostrophes": "apostrophes are left out: don't becomes dont",
    "accents": "letters lose their accents",
}
"""For people."""


def normalized(text: str, steps: Sequence[str]) -> str:
    """``text`` after the steps, which are names of ``STEPS``; then one space between words.

    Without steps, the text as it is. Raises ``KeyError`` for an unknown name.
    """
    if not steps:
        return text
    for step in steps:
        text = STEPS[step](text)
    return " ".join(text.split())
