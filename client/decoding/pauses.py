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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..vocabulary import Detokenizer
from ..wire.contract import Contract
from .candidates import LEAST_LOG_PROB

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
        self._least_step = math.ceil(PAUSE_S / contract.frame_stride_s - 1e-6) + 1  # frames
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

    def mark_log_probs(
        self, log_probs: NDArray[Any], best: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """``log_probs [S, V]`` and their best tokens ``[S]``, with a space certain in each pause.

        In each, for a search may leave out a space beside it; of two spaces it makes one.
        """
        before, after = self._between(best)
        if not len(before):
            return log_probs, best
        middles = (before + after) // 2
        log_probs, best = log_probs.copy(), best.copy()
        log_probs[middles] = LEAST_LOG_PROB
        log_probs[middles, self._space] = 0.0
        best[middles] = self._space
        return log_probs, best

    def _between(self, best: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The last frame before and the first after each pause where a word may end."""
        if not self._active:
            return _NONE, _NONE
        emitting = (best != self._blank).nonzero()[0]
        long = (emitting[1:] - emitting[:-1] >= self._least_step).nonzero()[0]
        if not len(long):
            return _NONE, _NONE
        before, after = emitting[long], emitting[long + 1]
        # Clipped: a token that is none has to reach the decoder, which tells of it.
        may_end = self._may_precede.take(best[before], mode="clip")
        may_end &= self._may_follow.take(best[after], mode="clip")
        return before[may_end], after[may_end]


_NONE: Final = np.zeros(0, np.int64)


def _without_spaces(label: str) -> bool:
    return any(unicodedata.name(character, "").startswith(_WITHOUT_SPACES) for character in label)
