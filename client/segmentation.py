"""Recordings into what is sent: whole, cut at pauses, at given segments, or into windows.

Flow: blocks of samples → ``cut`` → ``Window``, one request each. Most recordings are one window. Of
others each segment is decoded by itself: between two pauses (``audio.voice_activity``), or where
``Clip.segments`` says that somebody speaks. A segment that is longer than the model takes is cut
into overlapping windows, whose outputs are stitched in the model's own frames: windows start at
whole frames, and how many frames a window has is what the model returned for it.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np

from .audio import Pcm, Span, Warn
from .audio.options import as_warning
from .audio.voice_activity import SpeechDetector, Stretch, VadOptions
from .errors import AudioError, ContractError
from .wire.contract import Contract

_WINDOW_S: Final = 30.0
_LEAST_WINDOW_S: Final = 1.0
Method: TypeAlias = Literal["vad", "window", "none"]
VAD: Final = "vad"
WINDOW: Final = "window"
NONE: Final = "none"
METHODS: Final[tuple[Method, ...]] = (VAD, WINDOW, NONE)


@dataclass(frozen=True)
class SegmentationOptions:
    """How recordings are cut, other than at ``Clip.segments``.

    Raises ``AudioError`` for an unknown method, and for windows that are too short or overlap by
    more than half.
    """

    method: Method | None = None
    """``"vad"`` cuts every recording at its pauses, and leaves out what is no speech; ``"window"``
    cuts long ones into overlapping windows; with ``"none"`` those that the model does not take are
    errors. ``None``: long ones at their pauses, as is every channel transcribed by itself; or into
    windows where ``window_s`` is given."""
    window_s: float | None = None
    """The length of windows: 30 s, or what the model takes if that is less. If it is given, longer
    recordings and segments are cut, otherwise those that are too long for the model."""
    overlap_s: float = 4.0
    """The overlap of two neighbouring windows; half of it is the context of each at the seam."""
    vad: VadOptions = field(default_factory=VadOptions)

    def __post_init__(self) -> None:
        if self.method not in (None, *METHODS):
            raise AudioError(
                f"the method of segmentation is {self.method!r}, expected one of "
                f"{', '.join(METHODS)}",
                options=("SegmentationOptions.method",),
            )
        window_s = _WINDOW_S if self.window_s is None else self.window_s
        if not _LEAST_WINDOW_S <= window_s < math.inf:
            raise AudioError(
                f"windows are {window_s} s long, expected at least {_LEAST_WINDOW_S:g}",
                options=("SegmentationOptions.window_s",),
            )
        if not 0 <= self.overlap_s <= window_s / 2:
            raise AudioError(
                f"windows overlap by {self.overlap_s} s, expected 0 to {window_s / 2:g}, half a "
                "window",
                options=("SegmentationOptions.overlap_s",),
            )
        if self.method == NONE and self.window_s is not None:
            raise AudioError(
                "windows have a length although recordings are not cut, expected one or the other",
                options=("SegmentationOptions.window_s", "SegmentationOptions.method"),
            )


@dataclass(frozen=True)
class Plan:
    """How recordings are cut for one model, in samples; made by ``plan_segmentation``."""

    rate_hz: int
    least: int
    """Shorter segments are left out: the model takes none, and no word fits in."""
    frame: int
    """From one of the model's frames to the next."""
    window: int
    hop: int
    """From the start of one window to the next: whole frames."""
    longest: int
    """Segments up to here are one window."""
    whole: int
    """Recordings up to here are not cut."""
    vad: VadOptions | None
    """Longer ones are cut at their pauses, or for ``None`` into windows."""


def plan_segmentation(contract: Contract, options: SegmentationOptions) -> Plan:
    """The plan for this model.

    Raises ``AudioError`` when a window is longer than the model takes, ``ContractError``
    when the model's frames are not a whole number of samples apart.
    """
    rate_hz = contract.sample_rate_hz
    stride = contract.frame_stride_s * rate_hz
    frame = max(1, round(stride))
    if options.method != NONE and not math.isclose(frame, stride, rel_tol=1e-6):
        raise ContractError(
            f"the model's frames are {stride:g} samples apart, expected a whole number: windows "
            "cannot be aligned. Do not cut recordings",
            options=("SegmentationOptions.method",),
        )
    longest = contract.max_samples
    window = min(longest, round(_WINDOW_S * rate_hz))
    if options.window_s is not None:
        longest = window = round(options.window_s * rate_hz)
    if window > contract.max_samples:
        raise AudioError(
            f"windows are {options.window_s:g} s long, the model takes at most "
            f"{contract.max_samples / rate_hz:g} s: choose shorter ones",
            options=("SegmentationOptions.window_s",),
        )
    overlap = min(round(options.overlap_s * rate_hz), window // 2)
    hop = max(1, (window - overlap) // frame) * frame
    if options.method == NONE:
        longest = sys.maxsize
    at_pauses = options.method == VAD or (options.method is None and options.window_s is None)
    return Plan(
        rate_hz=rate_hz,
        least=contract.min_samples,
        frame=frame,
        window=window,
        hop=hop,
        longest=longest,
        whole=0 if options.method == VAD else longest,
        vad=options.vad if at_pauses else None,
    )


@dataclass(frozen=True, eq=False)
class SegmentLabel:
    """A segment of a recording: the sample that it begins at, and whose speech it is.

    Each is equal to itself alone: given segments may begin at the same sample.
    """

    start: int
    channel: int | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Window:
    """``samples``, ``int16 [n]``, are what one request sends.

    ``start_frame`` counts from the start of its segment, whose last window is ``last``. ``label``
    is the segment's, ``None`` for a recording that is not cut into any.
    """

    start_frame: int
    samples: Pcm
    last: bool
    label: SegmentLabel | None = None


def cut(
    blocks: Iterable[Pcm],
    plan: Plan,
    spans: Sequence[Span] | None = None,
    warn: Warn = as_warning,
) -> Iterator[Window]:
    """The windows of a recording, whose ``blocks`` are ``int16 [n]``.

    Or ``int16 [n, channels]``, where each channel is cut by itself. Windows come as soon as they
    are known; those of one segment in order. By voice activity, nothing of a silent recording is
    sent. Reads blocks when they are needed, and holds what the model takes at once of each segment
    and channel, at most, or the longest recording that is not cut. ``warn`` is called where spans
    are left out.

    Raises ``AudioError`` where a span is on a channel that the recording does not have.
    """
    blocks = iter(blocks)
    if spans is None:
        head = list(_head(blocks, plan.whole))
        if sum(map(len, head)) <= plan.whole and not any(block.ndim > 1 for block in head):
            whole = _Windows(plan, None)
            yield from chain(whole.advance(np.concatenate([_NOTHING, *head])), whole.finish())
            return
        blocks = chain(iter(head), blocks)
        del head  # so that the blocks go when they have been cut
    cutters: dict[int | None, _Cutter] = {}
    for block in blocks:
        channels = _channels(block)
        cutters = cutters or _cutters(plan, channels.keys(), spans, warn)
        for channel, cutter in cutters.items():
            samples = channels.get(channel)
            yield from cutter.advance(_mean(block) if samples is None else samples)
    for cutter in cutters.values():
        yield from cutter.finish()


def _head(blocks: Iterator[Pcm], longest: int) -> Iterator[Pcm]:
    """The blocks that tell whether a recording is longer than this."""
    length = 0
    for block in blocks:
        yield block
        length += len(block)
        if length > longest or block.ndim > 1:
            return


_NOTHING: Final = np.zeros(0, np.int16)


class _Cutter(Protocol):
    """Cuts one channel of a recording."""

    def advance(self, samples: Pcm) -> Iterator[Window]:
        """The windows that are now known, after the next samples ``int16 [n]``."""

    def finish(self) -> Iterator[Window]:
        """The rest, at the end of the recording."""


def _channels(block: Pcm) -> dict[int | None, Pcm]:
    """The samples of each channel, counted from 1; of ``None`` where only one is read."""
    if block.ndim == 1:
        return {None: block}
    return {at + 1: np.ascontiguousarray(block[:, at]) for at in range(block.shape[1])}


def _mean(block: Pcm) -> Pcm:
    mean: Pcm = np.rint(block.mean(axis=1)).astype(np.int16)
    return mean


def _cutters(
    plan: Plan, channels: Iterable[int | None], spans: Sequence[Span] | None, warn: Warn
) -> "dict[int | None, _Cutter]":
    channels = list(channels)
    if spans is None and plan.vad is not None:
        return {channel: _Pauses(plan, plan.vad, channel) for channel in channels}
    if spans is None:
        labels = {each: None if each is None else SegmentLabel(0, each) for each in channels}
        return {channel: _Windows(plan, label) for channel, label in labels.items()}
    wanted: dict[int | None, list[Span]] = {}
    for span in spans:
        wanted.setdefault(span.channel, []).append(span)
    known = {None, *channels}
    if absent := sorted(each for each in wanted if each is not None and each not in known):
        raise AudioError(
            f"the recording has {len(channels)} channels, a segment is on channel {absent[0]}: "
            "correct it"
        )
    return {channel: _Spans(plan, given, warn) for channel, given in wanted.items()}


class _Windows:
    """One window, or several that overlap.

    The last one is moved back until it is as long as the others: a model is inaccurate in a window
    with hardly any context.
    """

    def __init__(self, plan: Plan, label: SegmentLabel | None) -> None:
        self._plan = plan
        self._label = label
        self._buffer = _Buffer()
        self._start = 0
        self._cutting = False

    def advance(self, samples: Pcm) -> Iterator[Window]:
        plan, buffer = self._plan, self._buffer
        buffer.append(samples)
        self._cutting = self._cutting or buffer.end > plan.longest
        while self._cutting and buffer.end > self._start + plan.window:
            end = self._start + plan.window
            yield self._window(
                self._start // plan.frame, buffer.samples(self._start, end), last=False
            )
            buffer.forget(self._start)
            self._start += plan.hop

    def finish(self) -> Iterator[Window]:
        plan, buffer = self._plan, self._buffer
        if not self._cutting:
            if self._label is None or buffer.end >= plan.least:
                yield self._window(0, buffer.samples(0, buffer.end), last=True)
            return
        start_frame = -(-(buffer.end - plan.window) // plan.frame)
        samples = buffer.samples(start_frame * plan.frame, buffer.end)
        yield self._window(start_frame, samples, last=True)

    def _window(self, start_frame: int, samples: Pcm, *, last: bool) -> Window:
        return Window(start_frame, samples, last, self._label)


class _Pauses:
    """The speech between pauses, each a segment."""

    def __init__(self, plan: Plan, vad: VadOptions, channel: int | None) -> None:
        self._plan = plan
        self._channel = channel
        self._buffer = _Buffer()
        self._detector = SpeechDetector(plan.rate_hz, vad)
        self._segment: _Windows | None = None

    def advance(self, samples: Pcm) -> Iterator[Window]:
        self._buffer.append(samples)
        yield from self._cut(self._detector.advance(samples))
        self._buffer.forget(self._detector.needed_from)

    def finish(self) -> Iterator[Window]:
        yield from self._cut(self._detector.finish())

    def _cut(self, stretches: Iterable[Stretch]) -> Iterator[Window]:
        for start, end, last in stretches:
            if self._segment is None:
                self._segment = _Windows(self._plan, SegmentLabel(start, self._channel))
            yield from self._segment.advance(self._buffer.samples(start, end))
            if last:
                yield from self._segment.finish()
                self._segment = None


class _Spans:
    """Given segments, which may overlap."""

    def __init__(self, plan: Plan, spans: Iterable[Span], warn: Warn) -> None:
        self._plan = plan
        self._warn = warn
        self._at = 0
        self._too_short = 0
        self._coming = sorted(spans, key=lambda span: span.start_s)[::-1]  # the next one last
        self._open: list[tuple[int, int, _Windows]] = []

    def advance(self, samples: Pcm) -> Iterator[Window]:
        start, end = self._at, self._at + len(samples)
        self._at = end
        rate_hz = self._plan.rate_hz
        while self._coming and round(self._coming[-1].start_s * rate_hz) < end:
            span = self._coming.pop()
            first = round(span.start_s * rate_hz)
            windows = _Windows(self._plan, SegmentLabel(first, span.channel, span.speaker))
            self._open.append((first, round(span.end_s * rate_hz), windows))
        still_open = []
        for first, last, windows in self._open:
            yield from windows.advance(samples[max(0, first - start) : max(0, last - start)])
            if last > end:
                still_open.append((first, last, windows))
            else:
                yield from self._finished(last - first, windows)
        self._open = still_open

    def finish(self) -> Iterator[Window]:
        for first, _, windows in self._open:
            yield from self._finished(self._at - first, windows)
        if left_out := len(self._coming) + self._too_short:
            rate_hz = self._plan.rate_hz
            self._warn(
                f"{left_out} of its segments are left out: they begin after its end, at "
                f"{self._at / rate_hz:.2f} s, or are shorter than {self._plan.least / rate_hz:g} s"
            )

    def _finished(self, length: int, windows: _Windows) -> Iterator[Window]:
        self._too_short += length < self._plan.least
        return windows.finish()


class _Buffer:
    """Samples in a row, whose beginning is dropped after use."""

    def __init__(self) -> None:
        self._start = 0  # of what is held
        self._blocks: list[Pcm] = []
        self.end = 0

    def append(self, samples: Pcm) -> None:
        self._blocks.append(samples)
        self.end += len(samples)

    def samples(self, start: int, end: int) -> Pcm:
        """The samples from ``start`` to ``end``, which are still held."""
        self._blocks = [np.concatenate(self._blocks)] if len(self._blocks) > 1 else self._blocks
        return (
            self._blocks[0][start - self._start : end - self._start] if self._blocks else _NOTHING
        )

    def forget(self, end: int) -> None:
        """Drop the samples before ``end``."""
        while self._blocks and self._start + len(self._blocks[0]) <= end:
            self._start += len(self._blocks.pop(0))
        if self._blocks:
            self._blocks[0] = self._blocks[0][end - self._start :]
            self._start = end
