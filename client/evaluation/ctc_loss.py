"""The CTC loss: how unlikely a model finds a text, whatever its alignment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ctc_loss(log_probs: NDArray[Any], tokens: Sequence[int], blank: int) -> float:
    """Negative log-probability of ``tokens`` by ``log_probs [S, V]``, in nats; not divided by any.

    The sum over all alignments, frame by frame (the forward variable of Graves et al.,
    "Connectionist Temporal Classification", ICML 2006), in logarithms and float64. Infinite where
    the tokens do not fit in the frames.
    """
    states = np.full(2 * len(tokens) + 1, blank)  # [K], blank before, between and after tokens
    states[1::2] = tokens
    skips = np.zeros(len(states), bool)  # whether a state can follow the one before the last
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    skipped_to = np.flatnonzero(skips)
    forward = np.full(len(states), -np.inf)  # [K], as if a frame of blank came before the first
    forward[0] = 0.0
    for frame in log_probs:
        reached = forward.copy()
        reached[1:] = np.logaddexp(reached[1:], forward[:-1])
        reached[skipped_to] = np.logaddexp(reached[skipped_to], forward[skipped_to - 2])
        forward = reached + frame[states]
    return -float(np.logaddexp.reduce(forward[-2:]))
