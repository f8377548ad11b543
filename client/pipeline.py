"""From items to results: in order, many requests in flight, one failure for one item.

Flow: item → ``audio`` → windows of segments (``segmentation``; most recordings are one) →
``wire.transport`` → stitched → ``decoding``, segment by segment → joined → ``Result``. A thread
takes and reads items while the server works on the requests in flight; decoding happens in the
caller's thread, or in threads of its own. Memory is bounded by the number of windows, not by the
length of recordings.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore, Event
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from .audio import AudioItem, AudioOptions, Clip, Pcm, Span, Warn, item_name, read_item
from .audio.options import EACH
from .decoding.stage import Stage
from .errors import AsrError, AudioError
from .result import Result
from .segmentation import (
    NONE,
    Plan,
    SegmentationOptions,
    SegmentLabel,
    Window,
    cut,
    plan_segmentation,
)
from .stitching import stitch
from .transcript import Segment, Transcript, joined
from .utils.in_order import in_order
from .utils.shortened import shortened
from .wire.contract import LOG_PROBS
from .wire.top_tokens import alike
from .wire.transport import Transport

_AHEAD: Final = 4
"""Results are awaited in order, so one slow request would leave the server idle unless more are
queued behind it."""

Item: TypeAlias = AudioItem | AsrError
"""A recording, or an error that takes an item's place."""


@dataclass(frozen=True)
class Reader:
    """How items become samples at ``rate_hz``, and windows of them."""

    rate_hz: int
    plan: Plan
    audio: AudioOptions = field(default_factory=AudioOptions)

    def blocks(self, item: Item, warn: Warn) -> Iterator[Pcm]:
        """The item's samples, read as they are needed; raises the item's ``AsrError``.

        ``[n]``, or ``[n, channels]`` where each channel is transcribed.
        """
        if isinstance(item, AsrError):
            raise item
        audio = self.audio
        if any(span.channel for span in _spans(item) or ()):
            audio = replace(audio, channel=EACH)
        return read_item(item, self.rate_hz, audio, warn)

    def spans(self, item: Item) -> tuple[Span, ...] | None:
        """The item's segments, where some name a channel each with its own."""
        spans, channel = _spans(item), self.audio.channel
        if spans is None or not isinstance(channel, int):
            return spans
        if not any(span.channel for span in spans):
            return spans
        return tuple(span if span.channel else replace(span, channel=channel) for span in spans)

    def windows(self, item: Item, warn: Warn, read: Callable[[int], None]) -> Iterator[Window]:
        """The item's windows; ``read`` is called with the length of each block that is read."""

        def counted() -> Iterator[Pcm]:
            for block in self.blocks(item, warn):
                read(len(block))
                yield block

        return cut(counted(), self.plan, self.spans(item), warn)


def _spans(item: Item) -> tuple[Span, ...] | None:
    return item.segments if isinstance(item, Clip) else None


class Pipeline:
    """The path from item to result in one process; safe to share between threads.

    All threads together have at most ``max_in_flight`` requests in flight. Without a ``reader``
    recordings are not cut. With ``keep_log_probs`` results hold the ``log_probs``, and the stage
    decodes from them.
    """

    def __init__(
        self,
        transport: Transport,
        decoding: Stage,
        max_in_flight: int,
        reader: Reader | None = None,
        *,
        keep_log_probs: bool = False,
    ) -> None:
        contract = transport.contract
        self.transport: Final = transport
        self.max_in_flight: Final = max_in_flight
        self._decoding = decoding
        self._reader = reader or Reader(
            contract.sample_rate_hz, plan_segmentation(contract, SegmentationOptions(NONE))
        )
        self._permits = BoundedSemaphore(max_in_flight)
        self._n_tokens = contract.blank + 1
        self._keep_log_probs = keep_log_probs
        self._output = LOG_PROBS if keep_log_probs else decoding.output

    def transcribe(
        self, items: Iterable[Item], stop: Event | None = None
    ) -> Generator[Result, None, None]:
        """One result for each item, in order; items not yet sent when ``stop`` is set get none."""
        ahead = requests_ahead(self.max_in_flight)
        closed = Event()
        stops = [closed] if stop is None else [closed, stop]
        sent = self._requests(items, lambda: any(each.is_set() for each in stops))
        requests = in_order(sent, lambda each: each.outputs, ahead, stop)
        begun = self._begin(requests)
        try:
            for each in in_order(begun, lambda each: each.decoded, self._decoding.ahead):
                self._finish(each)
                if each.ends:
                    yield each.recording.result()
        finally:
            closed.set()  # for the thread that reads: hours of silence may send nothing

    def close(self) -> None:
        """Disconnect and release what the decoder holds."""
        self.transport.close()
        self._decoding.close()

    def _requests(self, items: Iterable[Item], stopped: Callable[[], bool]) -> "Iterator[_Request]":
        """At least one request for each item; taking it sends it."""
        for index, item in enumerate(items):
            if stopped():
                return
            recording = _Recording(index, self._reader.rate_hz)
            end: Future[Any] = Future()
            try:
                yield from self._windows(recording, item, stopped)
                end.set_result(None)
            except _StoppedError:
                return
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 -- items are others' code: files, arrays
                end.set_exception(_of_item(error, item))
            if not recording.sent:
                yield _Request(recording, end)

    def _windows(
        self, recording: "_Recording", item: Item, stopped: Callable[[], bool]
    ) -> "Iterator[_Request]":
        reader = self._reader

        def read(n_samples: int) -> None:
            if stopped():  # also within hours without speech, of which nothing is sent
                raise _StoppedError
            recording.read(n_samples)

        for window in reader.windows(item, recording.warnings.append, read):
            if recording.error is not None:  # of a window before
                return
            if stopped():
                raise _StoppedError
            end = window.start_frame * reader.plan.frame + len(window.samples)
            outputs = self._submit(window.samples)
            place = _Place(window.label, window.start_frame, end / reader.rate_hz, window.last)
            recording.sent = place.is_all
            yield _Request(recording, outputs, place)

    def _submit(self, samples: Pcm) -> Future[NDArray[Any]]:
        self._permits.acquire()
        try:
            outputs = self.transport.submit(samples, self._output)
        except BaseException:
            self._permits.release()
            raise
        outputs.add_done_callback(lambda _: self._permits.release())
        return outputs

    def _begin(self, requests: "Iterable[_Request]") -> "Iterator[_Decoding]":
        """The segments whose windows have all been answered, and each recording's end.

        Taking a segment begins to decode it.
        """
        for request in requests:
            recording, place = request.recording, request.place
            if recording.ended:
                continue
            try:
                outputs = request.outputs.result()
                if place is None:
                    recording.ended = True
                    yield _Decoding(recording, request.outputs)
                elif (whole := recording.take(outputs, place, self._n_tokens)) is not None:
                    recording.ended = place.is_all
                    yield self._begun(recording, place, whole)
            except AsrError as error:
                recording.fail(error)
                recording.ended = True
                yield _Decoding(recording, request.outputs)

    def _begun(
        self, recording: "_Recording", place: "_Place", outputs: NDArray[Any]
    ) -> "_Decoding":
        arrived: Future[NDArray[Any]] = Future()
        arrived.set_result(outputs)
        decoded = self._decoding.begin(arrived, place.end_s)
        kept = outputs if self._keep_log_probs else None
        return _Decoding(recording, decoded, place, kept)

    def _finish(self, begun: "_Decoding") -> None:
        recording, place = begun.recording, begun.place
        if place is None:
            return
        try:
            transcript = self._decoding.finish(begun.decoded, place.end_s)
        except AsrError as error:
            recording.fail(error)
        else:
            recording.add(place, transcript, begun.outputs)


def requests_ahead(max_in_flight: int) -> int:
    """The limit on requests in flight or waiting for an earlier one, and on items to decode."""
    return _AHEAD * max_in_flight


@dataclass(frozen=True)
class _Place:
    """Where a window belongs: its segment, the frame of it, and the segment's length so far."""

    label: SegmentLabel | None
    start_frame: int
    end_s: float
    last: bool

    @property
    def is_all(self) -> bool:
        """Whether nothing of the recording comes after it."""
        return self.label is None and self.last


class _StoppedError(Exception):
    """Nothing more is to be sent."""


class _Recording:
    """An item while its windows are in flight and its segments are decoded.

    The thread that reads items writes ``warnings`` and ``sent``, and stops after an ``error``; the
    one that takes requests in order writes ``ended``, and with the caller's ``error``.
    """

    def __init__(self, index: int, rate_hz: int) -> None:
        self.warnings: list[str] = []
        self.sent = False
        """Whether no end follows its windows."""
        self.ended = False
        """Whether requests that still come are in vain."""
        self.error: AsrError | None = None
        """The first one."""
        self._index = index
        self._rate_hz = rate_hz
        self._n_samples = 0
        self._windows: dict[SegmentLabel | None, list[tuple[int, NDArray[Any]]]] = {}
        self._decoded: list[tuple[Segment, Transcript]] = []
        self._whole: Result | None = None

    def read(self, n_samples: int) -> None:
        """Note that so many more samples were read."""
        self._n_samples += n_samples

    def fail(self, error: AsrError) -> None:
        """Note what went wrong, if nothing has before."""
        self.error = self.error or error

    def take(self, outputs: NDArray[Any], place: _Place, n_tokens: int) -> NDArray[Any] | None:
        """Take the outputs of a window; those of its segment, if it is the last one.

        Raises ``ServerError`` when windows do not fit together.
        """
        windows = self._windows.setdefault(place.label, [])
        windows.append((place.start_frame, outputs))
        if not place.last:
            return None
        del self._windows[place.label]
        starts = [start for start, _ in windows]
        return stitch(zip(starts, alike([each for _, each in windows], n_tokens), strict=True))

    def add(self, place: _Place, transcript: Transcript, log_probs: NDArray[Any] | None) -> None:
        """Take the transcript of a segment, or of the whole."""
        if (label := place.label) is None:
            self._whole = Result(self._index, 0, transcript, log_probs=log_probs)
            return
        start_s = label.start / self._rate_hz
        segment = Segment(
            text="",
            start_s=start_s,
            end_s=start_s + place.end_s,
            channel=label.channel,
            speaker=label.speaker,
            log_probs=log_probs,
        )
        self._decoded.append((segment, transcript))

    def result(self) -> Result:
        """What became of it."""
        whole = self._whole or Result(self._index, transcript=joined(self._decoded))
        if self.error is not None:
            whole = Result(self._index, error=self.error)
        duration_s = self._n_samples / self._rate_hz
        return replace(whole, duration_s=duration_s, warnings=tuple(self.warnings))


@dataclass(frozen=True)
class _Request:
    """A window in flight; without a ``place`` the recording's end, or why it cannot be read."""

    recording: _Recording
    outputs: Future[NDArray[Any]]
    place: _Place | None = None


def _of_item(error: Exception, item: Item) -> AsrError:
    """The error as one of ours, which names the item."""
    if isinstance(error, AudioError) and not error.source and not isinstance(item, AsrError):
        return error.amended(source=item_name(item))
    if isinstance(error, AsrError):
        return error
    said = f"{type(error).__name__}: {shortened(error)}"
    told = AudioError(f"an item cannot be read or sent: {said}: open or fetch it again")
    told.__cause__ = error
    return _of_item(told, item)


@dataclass(frozen=True)
class _Decoding:
    """A segment that is being decoded, with its outputs where the result has them.

    Without a ``place`` it is the recording's end.
    """

    recording: _Recording
    decoded: Future[Any]
    place: _Place | None = None
    outputs: NDArray[Any] | None = None

    @property
    def ends(self) -> bool:
        """Whether nothing of the recording comes after it."""
        return self.place is None or self.place.is_all
