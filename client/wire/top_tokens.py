"""The best tokens of each frame with their log-probabilities, in place of all ``log_probs``.

Few tokens of a frame pass a beam search's threshold, so a model's ``top_k`` best, the blank among
them, make the same text. Flow: ``top_tokens`` and ``top_log_probs`` of a reply → ``pack`` → one
array ``[S, K]`` of ``TOP``, best token first → ``is_complete``, or all ``log_probs`` are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DecoderError
from .contract import LOG_PROBS, Contract

TOP: Final = np.dtype([("token", np.int32), ("log_prob", np.float32)])
ABSENT_LOG_PROB: Final = -1e9
"""In place of the log-probabilities that a reply does not have; thresholds are higher."""


@dataclass(frozen=True)
class BestTokens:
    """Asks for best tokens; where they lack one from ``token_min_logp`` on, for ``log_probs``."""

    blank: int
    token_min_logp: float


Output: TypeAlias = str | BestTokens
"""What to ask a model for: one of its tensors by name, or the best tokens."""


def beam_output(contract: Contract, token_min_logp: float) -> Output:
    """The least that makes a beam search's text; ``log_probs`` of models without ``top_k``."""
    return LOG_PROBS if contract.top_k is None else BestTokens(contract.blank, token_min_logp)


def pack(tokens: NDArray[Any], log_probs: NDArray[Any]) -> NDArray[Any]:
    """One array of ``TOP`` from ``int32`` tokens and ``float32`` log-probabilities of one shape."""
    top = np.empty(tokens.shape, TOP)
    top["token"] = tokens
    top["log_prob"] = log_probs
    return top


def is_top(outputs: NDArray[Any]) -> bool:
    """Whether these are best tokens, and not ``tokens`` or ``log_probs``."""
    return outputs.dtype == TOP


def is_complete(top: NDArray[Any], blank: int, token_min_logp: float) -> bool:
    """Whether ``top [S, K]`` has every token of each frame from ``token_min_logp`` on.

    It has if the least likely one, the blank aside, is below: all that are absent are less likely.
    """
    log_probs = np.where(top["token"] == blank, np.float32(np.inf), top["log_prob"])
    least = log_probs.min(axis=1)  # [S]
    return bool((least < token_min_logp).all())  # false for NaN


def dense(top: NDArray[Any], n_tokens: int) -> NDArray[np.float32]:
    """``log_probs``, ``float32 [S, V]``, with ``ABSENT_LOG_PROB`` for the absent tokens.

    Raises ``DecoderError`` for a token outside ``n_tokens``.
    """
    tokens = top["token"]
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < n_tokens:
        raise DecoderError(
            f"the server's best tokens lie in {tokens.min()} to {tokens.max()}, the contract's "
            f"vocabulary and blank in 0 to {n_tokens - 1}: export the model and its contract "
            "together"
        )
    log_probs = np.full((len(top), n_tokens), ABSENT_LOG_PROB, np.float32)
    np.put_along_axis(log_probs, tokens.astype(np.int64), top["log_prob"], axis=1)
    return log_probs


def alike(windows: Sequence[NDArray[Any]], n_tokens: int) -> list[NDArray[Any]]:
    """The outputs of a recording's windows, all as ``log_probs`` if some are."""
    if len({is_top(window) for window in windows}) < 2:
        return list(windows)
    return [dense(window, n_tokens) if is_top(window) else window for window in windows]
