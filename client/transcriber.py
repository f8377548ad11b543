"""The main path: recordings in, results out, in order, many requests in flight.

Flow: item → ``audio`` → windows (``long_audio``; most recordings are one) →
``wire.transport`` → stitched → ``decoding`` → result. A thread takes and reads items
while the server works on what is in flight; decoding happens in the caller's thread, or in
processes of its own. What is held is bounded in windows, not in recordings.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audio import AudioOptions, AudioSource, Clip, Pcm, Warn, read_blocks, to_pcm
from .decoding import BeamDecoder, BeamOptions, DecoderOptions, GreedyOptions, make_decoder
from .decoding.stage import InPool, InThread, Stage
from .errors import AsrError, AudioError
from .long_audio import (
    LongAudioOptions,
    Stitcher,
    Window,
    WindowPlan,
    cut,
    plan_windows,
)
from .transcript import Transcript
from .utils.forks import PerProcess
from .utils.in_order import in_order
from .utils.shortened import shortened
from .wire.contract import Contract
from .wire.transport import Transport, TransportOptions, TritonTransport

_SINGLE: Final = (str, Path, Clip)
_OF_ONE: Final = ("read", "__array__", "__array_interface__")
"""Attributes of open files and of arrays, in any library."""
_LONG_AUDIO: Final = LongAudioOptions()
_BLOCK_SAMPLES: Final = 1 << 16
_AHEAD: Final = 4
"""Batches do not finish in the order in which they began: with results awaited in order and no more
items than requests, the server would run out of work while the first is slow."""

Item: TypeAlias = AudioSource | Clip | NDArray[Any] | AsrError
"""A recording; an array of samples at the model's rate; or an error that takes an item's place."""


@dataclass(frozen=True)
class Result:
    """What became of the item at position ``index``: a transcript, or an error.

    ``duration_s`` is the length of the audio sent, 0 when there was none to send. ``warnings`` say
    what is wrong with a recording of which all that is there was transcribed.
    """

    index: int
    duration_s: float = 0.0
    transcript: Transcript | None = None
    error: AsrError | None = None
    warnings: tuple[str, ...] = ()


class Transcriber:
    """A model on a server, ready to transcribe; a context manager.

    ``decoder`` chooses greedy decoding or beam search, ``None`` greedy decoding. Beam search runs
    in ``processes`` of its own, or in the caller's thread for 0. Recordings are read as ``audio``
    says. Those that the model does not take whole are cut and stitched as ``long_audio`` says; with
    ``None`` they are errors.

    A forked child connects and starts decoding processes of its own at its first use, which raises
    what the constructor does; closing it there leaves the parent's alone. ``ForkError`` is
    raised where gRPC does not survive the fork, and by results that were begun before it.

    Raises the errors of ``TritonTransport``, ``DecoderError`` for a
    language model that cannot be used, and those of ``plan_windows``.
    """

    def __init__(  # noqa: PLR0913  # all but two are options that most callers leave alone
        self,
        url: str | Sequence[str],
        model: str,
        *,
        decoder: DecoderOptions | None = None,
        processes: int = 0,
        options: TransportOptions | None = None,
        audio: AudioOptions | None = None,
        long_audio: LongAudioOptions | None = _LONG_AUDIO,
    ) -> None:
        connect = partial(
            _connect,
            url,
            model,
            decoder,
            processes,
            options or TransportOptions(),
            audio,
            long_audio,
        )
        self._connected = PerProcess(connect)

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._connected.get().transport.contract

    def transcribe(self, items: Iterable[Item]) -> Iterator[Result]:
        """One result for each item, in order; an item's error is in its result, and its warnings.

        Items are taken and read in a thread of their own when their turn comes, at most four times
        as many as requests in flight ahead of the result that is waited for, and twice that with
        processes that decode. A result does not wait for the next item, so that they may come from
        a live source; an exception that ``items`` raises comes after the results before it. Raises
        ``TypeError`` at once for a single recording, whose parts would be taken for items.
        """
        if _is_single(items):
            raise TypeError(
                f"items are one {type(items).__name__}, expected an iterable of recordings: "
                "pass a list, transcribe([recording])"
            )
        here = self._connected.get()
        return transcribe(items, here.transport, here.decoding, here.max_in_flight, here.reader)

    def close(self) -> None:
        """Hang up and release the language model."""
        if (here := self._connected.made) is not None:
            here.transport.close()
            here.decoding.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _is_single(items: Any) -> bool:
    """Whether these are no items but one recording: a path, a file, an array, or its bytes."""
    if isinstance(items, _SINGLE) or any(hasattr(items, each) for each in _OF_ONE):
        return True
    try:
        memoryview(items)
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class _Connected:
    """What a transcriber has in one process."""

    transport: Transport
    decoding: Stage
    max_in_flight: int
    reader: "Reader"


def _connect(  # noqa: PLR0913, PLR0917  # as Transcriber
    url: str | Sequence[str],
    model: str,
    decoder: DecoderOptions | None,
    processes: int,
    options: TransportOptions,
    audio: AudioOptions | None,
    long_audio: LongAudioOptions | None,
) -> _Connected:
    transport = TritonTransport(url, model, options)
    contract = transport.contract
    decoding: Stage
    try:
        plan = plan_windows(contract, long_audio)
        reader = Reader(contract.sample_rate_hz, plan, audio or AudioOptions())
        if isinstance(decoder, BeamOptions) and processes:
            make = partial(BeamDecoder, contract, decoder)
            decoding = InPool(make, processes, window(options.max_in_flight))
        else:
            decoding = InThread(make_decoder(contract, decoder or GreedyOptions()))
    except BaseException:
        transport.close()
        raise
    return _Connected(transport, decoding, options.max_in_flight, reader)


@dataclass(frozen=True)
class Reader:
    """How items become samples at ``rate_hz``, and windows of them."""

    rate_hz: int
    plan: WindowPlan
    audio: AudioOptions = field(default_factory=AudioOptions)

    def windows(self, item: Item, warn: Warn) -> Iterator[Window]:
        """The item's windows, read as they are asked for; raises the item's ``AsrError``."""
        return cut(self._blocks(item, warn), self.plan)

    def _blocks(self, item: Item, warn: Warn) -> Iterator[Pcm]:
        """The samples, ``int16 [n]`` at a time."""
        if isinstance(item, AsrError):
            raise item
        if not isinstance(item, np.ndarray):
            yield from read_blocks(item, self.rate_hz, self.audio, warn)
            return
        samples = np.atleast_1d(item)
        for at in range(0, max(1, len(samples)), _BLOCK_SAMPLES):
            yield to_pcm(samples[at : at + _BLOCK_SAMPLES], self.rate_hz, self.rate_hz)


def transcribe(
    items: Iterable[Item],
    transport: Transport,
    decoding: Stage,
    max_in_flight: int,
    reader: Reader | None = None,
) -> Iterator[Result]:
    """The bounded, ordered loop behind ``Transcriber.transcribe``; cuts nothing by default."""
    contract = transport.contract
    reader = reader or Reader(contract.sample_rate_hz, plan_windows(contract, None))
    sender = _Sender(transport, decoding.output, reader, BoundedSemaphore(max_in_flight))
    requests = in_order(sender.requests(items), lambda each: each.posteriors, window(max_in_flight))
    begun = _begun(requests, decoding)
    for each in in_order(begun, lambda each: each.decoded, decoding.ahead):
        yield _finish(each, decoding)


def window(max_in_flight: int) -> int:
    """How many requests are in flight or wait for an earlier one; as many items, for decoding."""
    return _AHEAD * max_in_flight


class _Recording:
    """An item whose windows are under way; what is answered is put together in their order."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.duration_s = 0.0
        self.warnings: list[str] = []
        self.ended = False
        self._stitcher = Stitcher()
        self._final: list[NDArray[Any]] = []

    def take(self, request: "_Request") -> Future[NDArray[Any]] | None:
        """Wait for the next window; the last one, or the first that fails, ends the recording.

        Then a future of its outputs, ``[S]`` or ``[S, V]``, or of the error; ``None`` otherwise.
        """
        if self.ended:
            return None
        outputs: Future[NDArray[Any]] = Future()
        try:
            frames = request.posteriors.result()
            self._final.append(self._stitcher.add(request.start_frame, frames))
            if not request.last:
                return None
            whole = np.concatenate([*self._final, self._stitcher.finish()])
            outputs.set_result(whole)
        except AsrError as error:
            outputs.set_exception(error)
        self.ended = True
        self._final.clear()
        return outputs


@dataclass(frozen=True)
class _Request:
    """A window under way."""

    recording: _Recording
    start_frame: int
    posteriors: Future[NDArray[Any]]
    last: bool


@dataclass(frozen=True)
class _Sender:
    """Sends recordings, window after window, as many at once as there are permits."""

    transport: Transport
    output: str
    reader: Reader
    permits: BoundedSemaphore

    def requests(self, items: Iterable[Item]) -> Iterator[_Request]:
        """At least one for each item; taking one sends it."""
        for index, item in enumerate(items):
            recording = _Recording(index)
            try:
                yield from self._windows(recording, item)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 -- items are others' code: files, arrays
                failed: Future[NDArray[Any]] = Future()
                failed.set_exception(_of_item(error))
                yield _Request(recording, 0, failed, last=True)

    def _windows(self, recording: _Recording, item: Item) -> Iterator[_Request]:
        for piece in self.reader.windows(item, recording.warnings.append):
            if recording.ended:  # for one window has failed
                return
            end = piece.start_frame * self.reader.plan.frame + len(piece.samples)
            recording.duration_s = end / self.reader.rate_hz
            posteriors = self._submit(piece.samples)
            yield _Request(recording, piece.start_frame, posteriors, piece.last)

    def _submit(self, samples: Pcm) -> Future[NDArray[Any]]:
        self.permits.acquire()
        try:
            posteriors = self.transport.submit(samples, self.output)
        except BaseException:
            self.permits.release()
            raise
        posteriors.add_done_callback(lambda _: self.permits.release())
        return posteriors


def _of_item(error: Exception) -> AsrError:
    if isinstance(error, AsrError):
        return error
    said = f"{type(error).__name__}: {shortened(error)}"
    told = AudioError(f"an item cannot be read or sent: {said}: open or fetch it again")
    told.__cause__ = error
    return told


@dataclass(frozen=True)
class _Begun:
    """An item that is being decoded."""

    recording: _Recording
    decoded: Future[Any]


def _begun(requests: Iterable[_Request], decoding: Stage) -> Iterator[_Begun]:
    """The recordings whose windows are all there; taking one begins to decode it."""
    for request in requests:
        recording = request.recording
        if (posteriors := recording.take(request)) is not None:
            decoded = decoding.begin(posteriors, recording.duration_s)
            yield _Begun(recording, decoded)


def _finish(begun: _Begun, decoding: Stage) -> Result:
    recording = begun.recording
    result = Result(recording.index, recording.duration_s, warnings=tuple(recording.warnings))
    try:
        return replace(result, transcript=decoding.finish(begun.decoded, recording.duration_s))
    except AsrError as error:
        return replace(result, error=error)
