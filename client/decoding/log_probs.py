"""Whether a model's outputs are log-probabilities of its tokens."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DecoderError

_ROUNDING: Final = 1e-3  # of float32 or float16 above log-probability 0


def check_log_probs(log_probs: NDArray[Any], n_tokens: int) -> None:
    """Raise ``DecoderError`` unless these are ``[S, n_tokens]`` natural logarithms."""
    check_shape(log_probs, n_tokens)
    if log_probs.size == 0:
        return
    most = log_probs.max()
    if np.isnan(most):
        raise DecoderError("log_probs hold NaN: the model overflows, export it in fp32")
    if most > _ROUNDING:
        raise DecoderError(
            f"log_probs reach {most:.3g}, expected natural logarithms of "
            "probabilities (at most 0): pass log-softmax values"
        )


def check_shape(log_probs: NDArray[Any], n_tokens: int) -> None:
    """Raise ``DecoderError`` unless these are ``[S, n_tokens]``."""
    if log_probs.ndim != 2 or log_probs.shape[1] != n_tokens:
        raise DecoderError(
            f"log_probs have shape {log_probs.shape}, expected [frames, {n_tokens}] "
            "(vocabulary and blank): export the model and its contract together"
        )
