"""What each way of running the model gives for one utterance, and how two are compared."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FEATURES_TOLERANCE: Final = 1e-3
LOG_PROBS_TOLERANCE: Final = 1e-3
BATCH_TOLERANCE: Final = 1e-4
"""Between the same utterance alone and in a batch."""


@dataclass(frozen=True)
class Outputs:
    """One utterance's results, trimmed to its length.

    ``features`` float32 [F, T] (None where they are not seen: through the ensemble);
    ``log_probs`` float32 [S, V]; ``tokens`` int32 [S]; ``text`` their greedy transcript.
    """

    features: NDArray[Any] | None
    log_probs: NDArray[Any]
    tokens: NDArray[Any]
    text: str


def max_abs(a: NDArray[Any] | None, b: NDArray[Any] | None) -> float:
    """Largest absolute difference; infinite where there is none: other shapes, or not finite."""
    if (
        a is None
        or b is None
        or a.shape != b.shape
        or not (np.isfinite(a).all() and np.isfinite(b).all())
    ):
        return float("inf")
    return float(np.abs(a - b).max(initial=0.0))


def wrong_tokens(expected: Outputs, actual: Outputs, tolerance: float) -> int:
    """Frames whose token differs although the best two scores are not tied within rounding.

    Two scores within ``2 * tolerance`` may trade places under differences that are allowed.
    """
    if expected.tokens.shape != actual.tokens.shape:
        return max(len(expected.tokens), len(actual.tokens))
    best_two = np.sort(expected.log_probs, axis=1)[:, -2:]
    decided = best_two[:, 1] - best_two[:, 0] > 2 * tolerance
    return int(np.sum((expected.tokens != actual.tokens) & decided))


def collapse(tokens: NDArray[Any], vocabulary: tuple[str, ...]) -> str:
    """CTC's greedy transcript: repeats merged, then blanks dropped. ``tokens`` int32 [S]."""
    merged = tokens[np.diff(tokens, prepend=-1) != 0]
    return "".join(vocabulary[token] for token in merged if token < len(vocabulary))
