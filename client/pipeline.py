"""From items to results: in order, many requests in flight, one failure for one item.

Flow: item → ``audio`` → windows (``long_audio``; most recordings are one) → ``wire.transport`` →
stitched → ``decoding`` → ``Result``. A thread takes and reads items while the server works on the
requests in flight; decoding happens in the caller's thread, or in threads of its own. Memory is
bounded by the number of windows, not by the length of recordings.
"""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore, Event
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from .audio import AudioItem, AudioOptions, Pcm, Warn, item_name, read_item
from .decoding.stage import Stage
from .errors import AsrError, AudioError
from .long_audio import Window, WindowPlan, cut, plan_windows, stitch
from .result import Result
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
    plan: WindowPlan
    audio: AudioOptions = field(default_factory=AudioOptions)

    def windows(self, item: Item, warn: Warn) -> Iterator[Window]:
        """The item's windows, read as they are needed; raises the item's ``AsrError``."""
        if isinstance(item, AsrError):
            raise item
        return cut(read_item(item, self.rate_hz, self.audio, warn), self.plan)


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
        self._reader = reader or Reader(contract.sample_rate_hz, plan_windows(contract, None))
        self._permits = BoundedSemaphore(max_in_flight)
        self._n_tokens = contract.blank + 1
        self._keep_log_probs = keep_log_probs
        self._output = LOG_PROBS if keep_log_probs else decoding.output

    def transcribe(
        self, items: Iterable[Item], stop: Event | None = None
    ) -> Generator[Result, None, None]:
        """One result for each item, in order; items not yet sent when ``stop`` is set get none."""
        ahead = requests_ahead(self.max_in_flight)
        sent = self._requests(items, stop or Event())
        requests = in_order(sent, lambda each: each.outputs, ahead, stop)
        begun = self._begin(requests)
        for each in in_order(begun, lambda each: each.decoded, self._decoding.ahead):
            yield self._finish(each)

    def close(self) -> None:
        """Disconnect and release what the decoder holds."""
        self.transport.close()
        self._decoding.close()

    def _requests(self, items: Iterable[Item], stop: Event) -> "Iterator[_Request]":
        """At least one request for each item; taking it sends it."""
        for index, item in enumerate(items):
            if stop.is_set():
                return
            recording = _Recording(index, self._n_tokens)
            try:
                yield from self._windows(recording, item, stop)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 -- items are others' code: files, arrays
                failed: Future[NDArray[Any]] = Future()
                failed.set_exception(_of_item(error, item))
                yield _Request(recording, 0, failed, last=True)

    def _windows(self, recording: "_Recording", item: Item, stop: Event) -> "Iterator[_Request]":
        for piece in self._reader.windows(item, recording.warnings.append):
            if recording.ended or stop.is_set():  # it ends early where a window failed
                return
            end = piece.start_frame * self._reader.plan.frame + len(piece.samples)
            recording.duration_s = end / self._reader.rate_hz
            outputs = self._submit(piece.samples)
            yield _Request(recording, piece.start_frame, outputs, piece.last)

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
        """The recordings whose windows have all been answered; taking one begins to decode it."""
        for request in requests:
            recording = request.recording
            if (outputs := recording.take(request)) is not None:
                decoded = self._decoding.begin(outputs, recording.duration_s)
                yield _Decoding(recording, decoded, outputs if self._keep_log_probs else None)

    def _finish(self, begun: "_Decoding") -> Result:
        recording = begun.recording
        result = Result(recording.index, recording.duration_s, warnings=tuple(recording.warnings))
        try:
            transcript = self._decoding.finish(begun.decoded, recording.duration_s)
        except AsrError as error:
            return replace(result, error=error)
        log_probs = None if begun.outputs is None else begun.outputs.result()
        return replace(result, transcript=transcript, log_probs=log_probs)


def requests_ahead(max_in_flight: int) -> int:
    """The limit on requests in flight or waiting for an earlier one, and on items to decode."""
    return _AHEAD * max_in_flight


class _Recording:
    """An item whose windows are in flight; their outputs are stitched when all have arrived."""

    def __init__(self, index: int, n_tokens: int) -> None:
        self.index = index
        self.duration_s = 0.0
        self.warnings: list[str] = []
        self.ended = False
        self._n_tokens = n_tokens
        self._starts: list[int] = []  # in frames, of each window
        self._windows: list[NDArray[Any]] = []

    def take(self, request: "_Request") -> Future[NDArray[Any]] | None:
        """Wait for the next window; the last one, or the first that fails, ends the recording.

        Returns a future of the recording's outputs, ``[S]``, ``[S, V]`` or ``[S, K]``, or of its
        error, at the end; ``None`` before and after.
        """
        if self.ended:
            return None
        outputs: Future[NDArray[Any]] = Future()
        try:
            self._windows.append(request.outputs.result())
            self._starts.append(request.start_frame)
            if not request.last:
                return None
            windows = alike(self._windows, self._n_tokens)
            outputs.set_result(stitch(zip(self._starts, windows, strict=True)))
        except AsrError as error:
            outputs.set_exception(error)
        self.ended = True
        self._windows.clear()
        return outputs


@dataclass(frozen=True)
class _Request:
    """A window in flight."""

    recording: _Recording
    start_frame: int
    outputs: Future[NDArray[Any]]
    last: bool


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
    """An item that is being decoded, with its outputs where the result has them."""

    recording: _Recording
    decoded: Future[Any]
    outputs: Future[NDArray[Any]] | None
