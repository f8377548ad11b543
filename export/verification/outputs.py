"""The outputs of one utterance, however it was run, and their comparison."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.vocabulary import Detokenizer
from client.wire.contract import Contract


@dataclass(frozen=True)
class Outputs:
    """One utterance's results, trimmed to its length.

    ``features`` float32 [F, T] (None through the ensemble, which does not return them);
    ``log_probs`` float32 [S, V]; ``tokens`` int32 [S]; ``text`` their greedy transcript; ``top``
    the best tokens of each frame, [S, K] of ``client.wire.top_tokens.TOP``, or None where the model
    does not return them. NeMo in float64 gives features and log_probs in float64.
    """

    features: NDArray[Any] | None
    log_probs: NDArray[Any]
    tokens: NDArray[Any]
    text: str
    top: NDArray[Any] | None = None


def max_abs(a: NDArray[Any] | None, b: NDArray[Any] | None) -> float:
    """Largest absolute difference; infinite for other shapes or values that are not finite."""
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


def wrong_top(outputs: Outputs) -> int:
    """Frames whose ``top`` is not exactly the best of ``log_probs``, with the blank among them.

    Tokens of equal log-probability may stand in any order.
    """
    if outputs.top is None:
        return 0
    tokens, values = outputs.top["token"], outputs.top["log_prob"]  # [S, K] each
    n_tokens = outputs.log_probs.shape[1]
    blank, k = n_tokens - 1, tokens.shape[1]
    if len(tokens) != len(outputs.log_probs) or not ((tokens >= 0) & (tokens <= blank)).all():
        return len(outputs.log_probs)
    best = -np.sort(np.partition(-outputs.log_probs, k - 1, axis=1)[:, :k], axis=1)
    forced = outputs.log_probs[:, blank] < best[:, -1]
    best[forced, -1] = outputs.log_probs[forced, blank]
    own = np.take_along_axis(outputs.log_probs, tokens.astype(np.int64), axis=1)
    right = ((values == best) & (values == own)).all(axis=1)
    right &= (np.diff(np.sort(tokens, axis=1), axis=1) > 0).all(axis=1)  # no token twice
    right &= (tokens == blank).any(axis=1)
    return int((~right).sum())


def greedy_text(tokens: NDArray[Any], contract: Contract) -> str:
    """CTC's greedy transcript: repeats merged, then blanks dropped. ``tokens`` int32 [S].

    Units become text as clients make it, but without white space at the start: SentencePiece models
    differ in how much they keep.
    """
    merged = tokens[np.diff(tokens, prepend=-1) != 0]
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    return detokenizer.text(merged[merged != contract.blank]).lstrip()
