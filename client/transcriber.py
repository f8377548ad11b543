"""The main path: recordings in, results out, in order, many requests in flight.

Flow: item → :mod:`client.audio` → :mod:`client.transport` → :mod:`client.decoding` → result.
Reading happens in the caller's thread while the server works on what is in flight; decoding too, or
in processes of its own.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from client.audio import AudioSource, Clip, load_audio, to_pcm
from client.contract import Contract
from client.decoding import BeamDecoder, BeamOptions, DecoderOptions, GreedyOptions, make_decoder
from client.decoding.stage import InPool, InThread, Stage
from client.errors import AsrError
from client.in_order import in_order
from client.transcript import Transcript
from client.transport import Transport, TransportOptions, TritonTransport

_WINDOW: Final = 4
"""Batches do not finish in the order in which they began: with results awaited in order and no more
items than requests, the server would run out of work while the first is slow."""

Item: TypeAlias = AudioSource | Clip | NDArray[Any] | AsrError
"""A recording; an array of samples at the model's rate; or an error that takes an item's place."""


@dataclass(frozen=True)
class Result:
    """What became of the item at position ``index``: a transcript, or an error.

    ``duration_s`` is the length of the audio sent, 0 when there was none to send.
    """

    index: int
    duration_s: float = 0.0
    transcript: Transcript | None = None
    error: AsrError | None = None


class Transcriber:
    """A model on a server, ready to transcribe; a context manager.

    ``decoder`` chooses greedy decoding or beam search, ``None`` greedy decoding. Beam search runs
    in ``processes`` of its own, or in the caller's thread for 0. Raises the errors of
    :class:`~client.transport.TritonTransport`, and :class:`DecoderError` for a language model
    that cannot be used.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        decoder: DecoderOptions | None = None,
        processes: int = 0,
        options: TransportOptions | None = None,
    ) -> None:
        options = options or TransportOptions()
        self._max_in_flight = options.max_in_flight
        self._transport = TritonTransport(url, model, options)
        contract = self._transport.contract
        self._decoding: Stage
        try:
            if isinstance(decoder, BeamOptions) and processes:
                make = partial(BeamDecoder, contract, decoder)
                self._decoding = InPool(make, processes, window(options.max_in_flight))
            else:
                self._decoding = InThread(make_decoder(contract, decoder or GreedyOptions()))
        except BaseException:
            self._transport.close()
            raise

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._transport.contract

    def transcribe(self, items: Iterable[Item]) -> Iterator[Result]:
        """One result for each item, in order; an item's error is in its result.

        Items are read when their turn comes, at most four times as many as requests in flight
        ahead of the result that is waited for. Raises
        ``TypeError`` at once for a single recording, whose characters would be taken for items.
        """
        if isinstance(items, (str, bytes, Path, Clip)):
            raise TypeError(
                f"items are one {type(items).__name__}, expected an iterable of recordings: "
                "pass a list, transcribe([recording])"
            )
        return transcribe(items, self._transport, self._decoding, self._max_in_flight)

    def close(self) -> None:
        """Hang up and release the language model."""
        self._transport.close()
        self._decoding.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Pending:
    """An item under way."""

    index: int
    duration_s: float = 0.0
    begun: Future[Any] = field(default_factory=Future)


def transcribe(
    items: Iterable[Item], transport: Transport, decoding: Stage, max_in_flight: int
) -> Iterator[Result]:
    """The bounded, ordered loop behind :meth:`Transcriber.transcribe`."""
    permits = BoundedSemaphore(max_in_flight)
    started = (
        _start(index, item, transport, decoding, permits) for index, item in enumerate(items)
    )
    for pending in in_order(started, lambda each: each.begun.done(), window(max_in_flight)):
        yield _finish(pending, decoding)


def window(max_in_flight: int) -> int:
    """Items under way at once: in flight, being decoded, or waiting for an earlier one."""
    return _WINDOW * max_in_flight


def _start(
    index: int, item: Item, transport: Transport, decoding: Stage, permits: BoundedSemaphore
) -> _Pending:
    duration_s = 0.0
    rate_hz = transport.contract.sample_rate_hz
    try:
        if isinstance(item, AsrError):
            raise item
        if isinstance(item, np.ndarray):
            samples = to_pcm(item, rate_hz, rate_hz)
        else:
            samples = load_audio(item, rate_hz)
        duration_s = len(samples) / rate_hz
        permits.acquire()
        try:
            posteriors = transport.submit(samples, decoding.output)
        except BaseException:
            permits.release()
            raise
        posteriors.add_done_callback(lambda _: permits.release())
        return _Pending(index, duration_s, decoding.begin(posteriors, duration_s))
    except AsrError as error:
        failed = _Pending(index, duration_s)
        failed.begun.set_exception(error)
        return failed


def _finish(pending: _Pending, decoding: Stage) -> Result:
    try:
        transcript = decoding.finish(pending.begun, pending.duration_s)
    except AsrError as error:
        return Result(pending.index, pending.duration_s, error=error)
    return Result(pending.index, pending.duration_s, transcript)
