"""Recordings longer than a model takes: cut into overlapping windows, their outputs stitched.

Flow: blocks of samples → ``cut`` → ``Window``, one request each → ``tokens [S]``, ``log_probs
[S, V]`` or best tokens ``[S, K]`` of each window → ``stitch`` → those of the whole recording, for
*one* decoding pass. A frame is the model's own throughout: windows start at whole frames, and how
many frames a window has is what the model returned for it.

Stitching is independent of decoding: the frames that ``Stitcher.add`` returns are final, and could
be decoded while the recording goes on.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .audio import Pcm
from .errors import AudioError, ContractError, ServerError
from .wire.contract import Contract

_WINDOW_S: Final = 30.0
_LEAST_WINDOW_S: Final = 1.0


@dataclass(frozen=True)
class LongAudioOptions:
    """How recordings that are too long for one request are cut."""

    window_s: float | None = None
    """Longer recordings are cut into windows of this length; ``None``: those longer than the model
    takes, into windows of 30 s."""
    overlap_s: float = 4.0
    """The overlap of two neighbouring windows; half of it is the context of each at the seam."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for windows that are too short, or overlap by more than half."""
        window_s = _WINDOW_S if self.window_s is None else self.window_s
        if not _LEAST_WINDOW_S <= window_s < math.inf:
            raise ValueError(f"window_s is {window_s}, expected at least {_LEAST_WINDOW_S:g}")
        if not 0 <= self.overlap_s <= window_s / 2:
            raise ValueError(
                f"overlap_s is {self.overlap_s}, expected 0 to {window_s / 2:g}, half a window"
            )


@dataclass(frozen=True)
class WindowPlan:
    """How recordings are cut for one model, in samples; made by ``plan_windows``."""

    frame: int
    """From one of the model's frames to the next."""
    window: int
    hop: int
    """From the start of one window to the next: whole frames."""
    longest: int
    """Recordings up to here are one window."""


def plan_windows(contract: Contract, options: LongAudioOptions | None) -> WindowPlan:
    """The windows for this model; without options, recordings stay whole, however long.

    Raises ``AudioError`` when a window is longer than the model takes, ``ContractError``
    when the model's frames are not a whole number of samples apart.
    """
    if options is None:
        return WindowPlan(frame=1, window=1, hop=1, longest=sys.maxsize)
    rate_hz = contract.sample_rate_hz
    stride = contract.frame_stride_s * rate_hz
    frame = max(1, round(stride))
    if not math.isclose(frame, stride, rel_tol=1e-6):
        raise ContractError(
            f"the model's frames are {stride:g} samples apart, expected a whole number: windows "
            "cannot be aligned. Transcribe without long_audio"
        )
    longest = contract.max_samples
    window = min(longest, round(_WINDOW_S * rate_hz))
    if options.window_s is not None:
        longest = window = round(options.window_s * rate_hz)
    if window > contract.max_samples:
        raise AudioError(
            f"windows are {options.window_s:g} s long, the model takes at most "
            f"{contract.max_samples / rate_hz:g} s: choose shorter ones",
            options=("LongAudioOptions.window_s",),
        )
    overlap = min(round(options.overlap_s * rate_hz), window // 2)
    return WindowPlan(frame, window, max(1, (window - overlap) // frame) * frame, longest)


@dataclass(frozen=True)
class Window:
    """A piece of a recording, ``int16 [n]``: the frame it starts at, and whether it is the last."""

    start_frame: int
    samples: Pcm
    last: bool


def cut(blocks: Iterable[Pcm], plan: WindowPlan) -> Iterator[Window]:
    """The windows of a recording, in order; a single one if it is short enough.

    Reads blocks when they are needed, and holds two windows of samples at most (or the longest
    recording that is not cut). The last window is moved back until it is as long as the others: a
    model is inaccurate in a window with hardly any context.
    """
    tape = _Tape(blocks)
    if not tape.reaches_beyond(plan.longest):
        yield Window(0, tape.samples(0), last=True)
        return
    start = 0
    while tape.reaches_beyond(start + plan.window):
        yield Window(start // plan.frame, tape.samples(start, start + plan.window), last=False)
        tape.forget(start)
        start += plan.hop
    start_frame = -(-(tape.end - plan.window) // plan.frame)
    yield Window(start_frame, tape.samples(start_frame * plan.frame), last=True)


class _Tape:
    """A recording that is read as far as needed, and whose beginning is dropped after use."""

    def __init__(self, blocks: Iterable[Pcm]) -> None:
        self._blocks = iter(blocks)
        self._start = 0  # of what is held
        self._held: Pcm = np.zeros(0, np.int16)
        self.end = 0  # of what has been read

    def reaches_beyond(self, end: int) -> bool:
        """Whether the recording has more than ``end`` samples; reads up to there."""
        read = [self._held]
        while self.end <= end and (block := next(self._blocks, None)) is not None:
            read.append(block)
            self.end += len(block)
        self._held = np.concatenate(read)
        return self.end > end

    def samples(self, start: int, end: int | None = None) -> Pcm:
        """The samples from ``start`` to ``end``, or to the end."""
        return self._held[start - self._start : None if end is None else end - self._start]

    def forget(self, end: int) -> None:
        """Drop the samples before ``end``."""
        self._held = self._held[end - self._start :]
        self._start = end


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
