"""What each way of running the model gives for one utterance, and how two are compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.vocabulary import Detokenizer
from client.wire.contract import Contract


@dataclass(frozen=True)
class Outputs:
    """One utterance's results, trimmed to its length.

    ``features`` float32 [F, T] (None where they are not seen: through the ensemble);
    ``log_probs`` float32 [S, V]; ``tokens`` int32 [S]; ``text`` their greedy transcript. Of NeMo
    in float64, the former two are float64.
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


def wrong_tokens(expected: Outputs, actual: Outputs, tie: float) -> int:
    """Frames whose token differs although the best two scores are further apart than ``tie``.

    Under differences of at most half a ``tie``, closer scores may trade places.
    """
    if expected.tokens.shape != actual.tokens.shape:
        return max(len(expected.tokens), len(actual.tokens))
    best_two = np.sort(expected.log_probs, axis=1)[:, -2:]
    decided = best_two[:, 1] - best_two[:, 0] > tie
    return int(np.sum((expected.tokens != actual.tokens) & decided))


def greedy_text(tokens: NDArray[Any], contract: Contract) -> str:
    """CTC's greedy transcript: repeats merged, then blanks dropped. ``tokens`` int32 [S].

    Units become text as clients make it, but without white space at the start: SentencePiece models
    differ in how much they keep.
    """
    merged = tokens[np.diff(tokens, prepend=-1) != 0]
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    return detokenizer.text(merged[merged != contract.blank]).lstrip()
