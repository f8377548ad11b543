"""Forced alignment: the frames in which a known text is most likely said (CTC, Viterbi).

The best path through the tokens with blanks around them (Graves et al., "Connectionist Temporal
Classification", ICML 2006, with the maximum in place of the sum): each frame stays, goes on to the
next state, or skips the blank between two different tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DecoderError
from .runs import Runs, with_log_probs


def align(log_probs: NDArray[Any], tokens: Sequence[int], blank: int) -> Runs:
    """The runs of ``tokens`` on the best path through ``log_probs``, ``[S, V]``.

    Raises ``DecoderError`` when there are too few frames for the tokens, or no path through
    them has a probability above 0.
    """
    states = np.full(2 * len(tokens) + 1, blank)  # [K], blank before, between and after tokens
    states[1::2] = tokens
    repeats = int(np.count_nonzero(states[3::2] == states[1:-2:2]))
    if len(log_probs) < len(tokens) + repeats:
        raise DecoderError(
            f"{len(tokens)} tokens with {repeats} repeats do not fit in {len(log_probs)} frames: "
            "expected a frame for each token, and a blank between equal ones"
        )
    if not tokens:
        return Runs([], [], [], [])
    path = _best_path(log_probs[:, states].astype(np.float64), _can_skip(states, blank))  # [S]
    frames = [np.flatnonzero(path == state) for state in range(1, len(states), 2)]
    starts = [int(run[0]) for run in frames]
    ends = [int(run[-1]) + 1 for run in frames]
    return with_log_probs(Runs(list(tokens), starts, ends), log_probs)


def _can_skip(states: NDArray[Any], blank: int) -> NDArray[np.bool_]:
    """Whether each state can follow the one before the last, ``[K]``."""
    can = np.zeros(len(states), bool)
    can[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    return can


def _best_path(emissions: NDArray[Any], can_skip: NDArray[np.bool_]) -> NDArray[Any]:
    """The state of each frame, ``[S]``, from ``emissions [S, K]``."""
    n_frames, n_states = emissions.shape
    back = np.zeros((n_frames, n_states), np.int8)  # by how many states each came forward
    scores = np.full(n_states, -np.inf)
    scores[:2] = emissions[0, :2]
    every = np.arange(n_states)
    for frame in range(1, n_frames):
        came = np.full((3, n_states), -np.inf)  # from the same state, one before, two before
        came[0] = scores
        came[1, 1:] = scores[:-1]
        came[2, can_skip] = scores[np.flatnonzero(can_skip) - 2]
        back[frame] = came.argmax(axis=0)
        scores = came[back[frame], every] + emissions[frame]
    path = np.empty(n_frames, np.int64)
    path[-1] = n_states - 2 + int(scores[-1] > scores[-2])
    if scores[path[-1]] == -np.inf:
        raise DecoderError(
            "the tokens have probability 0 in these frames: expected log_probs without -inf, or "
            "other tokens"
        )
    for frame in range(n_frames - 1, 0, -1):
        path[frame - 1] = path[frame] - back[frame, path[frame]]
    return path
