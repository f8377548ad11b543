"""Overlapping windows of one segment: their outputs joined.

Flow: ``tokens [S]``, ``log_probs [S, V]`` or best tokens ``[S, K]`` of each window, and the frame
that it starts at → ``stitch`` → those of the whole segment.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ServerError


class Stitcher:
    """Stitches the outputs of overlapping windows, one window after the other.

    The seam is in the middle of each overlap. (A blank near it is no better as a seam: a
    window gets less accurate towards its edge.)
    """

    def __init__(self) -> None:
        self._start = 0  # the frame of held[0]
        self._held: NDArray[Any] | None = None

    def add(self, start_frame: int, outputs: NDArray[Any]) -> NDArray[Any]:
        """Take the next window's ``[S, ...]``; returns the frames that are now final.

        Raises ``ServerError`` when it does not fit the window before.
        """
        held = outputs[:0] if self._held is None else self._held
        held_end, end = self._start + len(held), start_frame + len(outputs)
        low = max(start_frame, self._start)
        if held.shape[1:] != outputs.shape[1:] or not low <= held_end <= end:
            raise ServerError(
                f"a window's output, {outputs.shape} from frame {start_frame}, does not go on "
                f"from the one before, {held.shape} from frame {self._start}: export the model "
                "again, or cut with more overlap"
            )
        seam = (low + held_end) // 2
        final = held[: seam - self._start]
        self._held, self._start = outputs[seam - start_frame :], seam
        return final

    def finish(self) -> NDArray[Any]:
        """The rest: the frames of the last window, from its seam on; none without a window."""
        return np.zeros(0) if self._held is None else self._held


def stitch(windows: Iterable[tuple[int, NDArray[Any]]]) -> NDArray[Any]:
    """The outputs of a recording, ``[S, ...]``, from those of its windows and their start frames.

    Raises ``ServerError`` when they do not fit together.
    """
    stitcher = Stitcher()
    final = [stitcher.add(start_frame, outputs) for start_frame, outputs in windows]
    return np.concatenate([*final, stitcher.finish()])
