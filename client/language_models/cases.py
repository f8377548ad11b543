"""The case in which words are written: names that options and commands share, and what they do."""

from collections.abc import Callable, Mapping
from typing import Final

CASES: Final[Mapping[str, Callable[[str], str]]] = {
    "keep": str,
    "lower": str.lower,
    "upper": str.upper,
}
"""What each case makes of a text; ``keep`` leaves it alone."""

WORD_CASES: Final = tuple(CASES)
