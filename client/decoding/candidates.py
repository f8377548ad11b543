"""What beam search tries in each frame: the likely tokens, and nothing where only blank is likely.

Flow: ``log_probs [S, V]`` → checked → tokens at or above ``token_min_logp`` and each frame's best →
runs of frames that leave only the blank become one step. Collapsing such a run is exact: the first
of its frames ends every hypothesis in blank, the others multiply all of them by one number. (Blank
Collapse, Jung et al., Interspeech 2023, does it by a threshold on the blank, and approximates.)
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DecoderError

LEAST_LOG_PROB: Final = -35.0
"""e^-35 is nothing, and unlike e^-inf it can be divided by."""
_FRAME_APART: Final = 64.0
"""More than the log-probabilities of two candidates differ: what sorts by both in one go."""
_ROUNDING: Final = 1e-3  # of float32 or float16 above log-probability 0


@dataclass(frozen=True)
class Candidates:
    """The steps of a search; step ``i`` tries ``tokens[starts[i]:starts[i + 1]]``, best first.

    ``frames`` numbers each step's frame. ``collapsed_logp`` is the log-probability of the runs of
    blanks, whose steps have probability 1 instead.
    """

    frames: list[int]
    starts: list[int]
    tokens: list[int]
    probabilities: list[float]
    collapsed_logp: float


def select_candidates(
    log_probs: NDArray[Any], best: NDArray[Any], blank: int, token_min_logp: float
) -> Candidates:
    """Steps from ``log_probs``, ``[S, V]``, natural logarithms, and their arg max, ``best [S]``."""
    n_frames, n_tokens = log_probs.shape
    likely = log_probs >= token_min_logp  # [S, V]
    likely[np.arange(n_frames), best] = True
    frames, tokens = np.divmod(np.flatnonzero(likely), n_tokens)  # [candidates] each
    only_blank = (best == blank) & (np.bincount(frames, minlength=n_frames) == 1)  # [S]
    continues = np.zeros_like(only_blank)  # [S], a run of blanks from the frame before
    continues[1:] = only_blank[1:] & only_blank[:-1]
    kept = ~continues[frames]
    frames, tokens = frames[kept], tokens[kept]
    chosen = _clipped(log_probs[frames, tokens])
    best_first = (frames * _FRAME_APART - chosen).argsort(kind="stable")
    chosen[only_blank[frames]] = 0.0
    steps = np.flatnonzero(~continues)  # the frame of each
    return Candidates(
        frames=steps.tolist(),
        starts=[*np.searchsorted(frames, steps).tolist(), len(frames)],
        tokens=tokens[best_first].tolist(),
        probabilities=np.exp(chosen[best_first]).tolist(),
        collapsed_logp=float(_clipped(log_probs[:, blank][only_blank]).sum()),
    )


def _clipped(log_probs: NDArray[Any]) -> NDArray[np.float64]:
    return np.clip(log_probs.astype(np.float64), LEAST_LOG_PROB, 0.0)


def check_log_probs(log_probs: NDArray[Any], n_tokens: int) -> None:
    """Raise ``DecoderError`` unless these are ``[S, n_tokens]`` natural logarithms."""
    if log_probs.ndim != 2 or log_probs.shape[1] != n_tokens:
        raise DecoderError(
            f"log_probs have shape {log_probs.shape}, expected [frames, {n_tokens}] "
            "(vocabulary and blank): export the model and its contract together"
        )
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
