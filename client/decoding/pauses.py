"""Pauses: where no token comes for 0.7 s or more, a word ends.

A model of characters has learnt that an utterance begins and ends without a space. Where a
recording holds several, the last word of one and the first of the next become one word. So each
pause between two tokens gets a space, in the middle of its frames. Shorter pauses occur within slow
words and between spelled letters: ``docs/decisions.md`` has the figures.

No space goes before a punctuation mark, which closes up with the word before it anyway, nor beside
a character of a script that is written without spaces. Models of pieces (SentencePiece) need none:
they have learnt that an utterance begins with a piece that starts a word.
"""

import math
import unicodedata
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..vocabulary import Detokenizer
from ..wire.contract import Contract

PAUSE_S: Final = 0.7
_SPACE: Final = " "
_WITHOUT_SPACES: Final = (
    *("CJK", "IDEOGRAPHIC", "VERTICAL IDEOGRAPHIC", "BOPOMOFO", "FULLWIDTH"),
    *("HIRAGANA", "KATAKANA", "COMBINING KATAKANA", "HALFWIDTH KATAKANA"),
    *("THAI", "LAO", "KHMER", "MYANMAR"),
)
"""How Unicode's names of the characters of these scripts begin, as 々's does with IDEOGRAPHIC."""


class Pauses:
    """Marks the pauses of one model's outputs; none with ``exact_nemo_text``."""

    def __init__(
        self, contract: Contract, detokenizer: Detokenizer, *, exact_nemo_text: bool
    ) -> None:
        labels = detokenizer.labels
        has_spaces = not detokenizer.in_pieces and _SPACE in labels
        self._active = has_spaces and not exact_nemo_text
        self._space = labels.index(_SPACE) if has_spaces else contract.blank
        self._blank = contract.blank
        least = math.ceil(PAUSE_S / contract.frame_stride_s - 1e-6)  # frames of a pause
        self._least_step = max(least, 1) + 1
        spaced = np.array([not _without_spaces(label) for label in labels])
        marks = np.array([label[:1] in detokenizer.marks for label in labels])
        self._may_precede, self._may_follow = spaced, spaced & ~marks  # [V - 1] each

    def mark_tokens(self, best: NDArray[Any]) -> NDArray[Any]:
        """The best tokens ``int [S]`` with a space in each pause that has none at either end."""
        before, after = self._between(best)
        unmarked = (best[before] != self._space) & (best[after] != self._space)
        if not unmarked.any():
            return best
        marked = best.copy()
        marked[(before[unmarked] + after[unmarked]) // 2] = self._space
        return marked

    def rule(self, make: Callable[[int, int, list[bool], list[bool]], Any]) -> Any:
        """What the search marks pauses by; ``None`` if it marks none."""
        if not self._active:
            return None
        return make(
            self._space, self._least_step, self._may_precede.tolist(), self._may_follow.tolist()
        )

    def _between(self, best: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The last frame before and the first after each pause where a word may end."""
        if not self._active:
            return _NONE, _NONE
        emitting = (best != self._blank).nonzero()[0]
        long = (emitting[1:] - emitting[:-1] >= self._least_step).nonzero()[0]
        if not len(long):
            return _NONE, _NONE
        before, after = emitting[long], emitting[long + 1]
        # Clipped: the decoder reports tokens outside the vocabulary.
        may_end = self._may_precede.take(best[before], mode="clip")
        may_end &= self._may_follow.take(best[after], mode="clip")
        return before[may_end], after[may_end]


_NONE: Final = np.zeros(0, np.int64)


def _without_spaces(label: str) -> bool:
    return any(unicodedata.name(character, "").startswith(_WITHOUT_SPACES) for character in label)
