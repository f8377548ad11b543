"""One load on a server: warm up, apply the load, record each request.

A closed loop sends through ``client.pipeline``, as ``Transcriber.transcribe`` does, with its
threads, conversions and ordered results: what a user pays. An open loop sends at times drawn
beforehand, whatever the server does, and decodes answers as they come.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.errors import LoadError
from benchmarks.load.records import Record, Recorder
from benchmarks.load.sending import CLOSED, Level, Utterances, poisson_times
from benchmarks.load.watch import Probe, Watch, Watched
from client.audio import Pcm
from client.decoding import DecoderOptions, GreedyOptions
from client.decoding.options import SearchOptions
from client.decoding.stage import InThread, InThreads, Stage
from client.errors import AsrError, ServerError
from client.evaluation.decoding import TimedDecoder, TimedTranscript
from client.pipeline import Pipeline, requests_ahead
from client.transcript import Transcript
from client.wire.contract import Contract

FAILURES_TO_CHECK: Final = 20
"""Failures in a row after which the server is health-checked."""
FAILING_S: Final = 10.0
"""How long every request may fail before the run is aborted; an overloaded server answers some."""
_OPEN_MOST: Final = 4096  # utterances that may wait for the decoding threads


@dataclass(frozen=True)
class LoadOptions:
    """How long and how: ``seconds`` of load, or exactly ``requests`` where given."""

    seconds: float = 10.0
    requests: int | None = None
    warmup_s: float = 2.0
    timeout_s: float = 60.0
    decoder: DecoderOptions = field(default_factory=GreedyOptions)
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Target:
    """A served model, a probe of its statistics, and a check that raises if the server has died."""

    url: str
    model: str
    probe: Probe
    check: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a load."""

    records: list[Record]
    watched: Watched


def run_load(target: Target, utterances: Utterances, level: Level, options: LoadOptions) -> Outcome:
    """Put one load on the server.

    Raises ``LoadError`` when the server is gone or answers no request, and the client's
    errors when it cannot be reached.
    """
    most = int(level.value) if level.kind == CLOSED else _OPEN_MOST
    try:
        recorder = Recorder(target.url, target.model, options.timeout_s, most)
    except ServerError:
        target.check()  # it may know why the server is gone
        raise
    try:
        with closing(_decoding(recorder.contract, options, most)) as decoding:
            session = _Session(target, utterances, recorder, decoding, options)
            watched = _apply(session, level)
    finally:
        recorder.close()
    records = recorder.records()
    if not any(each.error is None for each in watched.window.answered(records)):
        raise LoadError(_nothing_answered(records, level, watched.window.wall_s))
    return Outcome(records, watched)


@dataclass(frozen=True)
class _Session:
    """What one load works with."""

    target: Target
    utterances: Utterances
    recorder: Recorder
    decoding: Stage
    options: LoadOptions


def _apply(session: _Session, level: Level) -> Watched:
    """Warm up, then measure for ``seconds`` or exactly ``requests`` requests, without a pause."""
    options = session.options
    requests = options.requests
    if requests is None:
        start_s = perf_counter() + options.warmup_s
        with Watch(session.target.probe, start_s, start_s + options.seconds) as watch:
            _send(session, level, options.warmup_s + options.seconds)
        return watch.seen()
    _send(session, level, options.warmup_s)
    with Watch(session.target.probe, perf_counter()) as watch:
        _send(session, level, float("inf"), requests)
    return watch.seen()


def _send(session: _Session, level: Level, seconds: float, requests: int | None = None) -> None:
    """Send for ``seconds``, or ``requests``, and wait until all are done."""
    if level.kind == CLOSED:
        _closed(session, int(level.value), seconds, requests)
    else:
        seconds = seconds if requests is None else 2 * requests / level.value + 60
        times = poisson_times(level.value, seconds, session.options.seed)
        _open(session, times[:requests])


def _closed(session: _Session, in_flight: int, seconds: float, requests: int | None) -> None:
    recorder, health = session.recorder, _Health(session.target.check)
    first = len(recorder.sent)
    end_s = perf_counter() + seconds

    def items() -> Iterator[Pcm]:
        endless = session.utterances.endless(session.options.seed)
        for number, samples in enumerate(endless):
            if perf_counter() >= end_s or number == requests:
                return
            yield samples

    results = Pipeline(recorder, session.decoding, in_flight).transcribe(items())
    for result in results:
        _note_done(recorder.sent[first + result.index], result.transcript, result.error)
        health.note(result.error)


def _open(session: _Session, times: list[float]) -> None:
    """Send at ``times``, in seconds from now; another thread decodes what is answered."""
    health = _Health(session.target.check)
    recorder, done = session.recorder, threading.Semaphore(0)
    endless = session.utterances.endless(session.options.seed)
    start_s, first = perf_counter(), len(recorder.sent)
    with ThreadPoolExecutor(1) as decoder:

        def decode(sent: Record, begun: Future[Any]) -> None:
            _decode(session, sent, begun, health)
            done.release()

        def hand_over(sent: Record, begun: Future[Any]) -> None:
            decoder.submit(decode, sent, begun)

        for offset_s, samples in zip(times, endless, strict=False):
            planned_s = start_s + offset_s
            sleep(max(0.0, planned_s - perf_counter()))
            if health.failed:
                break
            reply = recorder.submit(samples, session.decoding.output)
            sent = recorder.sent[-1]
            sent.planned_s = planned_s
            begun = session.decoding.begin(reply, sent.duration_s)
            begun.add_done_callback(partial(hand_over, sent))
        for _ in recorder.sent[first:]:
            done.acquire()
    if health.failed is not None:
        raise health.failed


def _decode(session: _Session, sent: Record, begun: Future[Any], health: "_Health") -> None:
    transcript, error = None, None
    try:
        try:
            transcript = session.decoding.finish(begun, sent.duration_s)
        except AsrError as failure:
            error = failure
        _note_done(sent, transcript, error)
        health.note(error)
    except Exception as failure:  # noqa: BLE001 -- of this thread, and raised in the caller's
        health.failed = health.failed or failure


def _note_done(sent: Record, transcript: Transcript | None, error: AsrError | None) -> None:
    sent.done_s = perf_counter()
    # A future tells its callbacks after those who wait for it: we may be here before the recorder.
    sent.replied_s = min(sent.replied_s, sent.done_s)
    if error is not None:
        sent.error = type(error).__name__
    if isinstance(transcript, TimedTranscript):
        sent.decode_s = transcript.decoding_s


class _Health:
    """Tells a server that is overloaded, and answers some, from one that is gone."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.failed: Exception | None = None
        """What the thread that decodes could not raise."""
        self._check = check
        self._in_a_row = 0
        self._since_s = 0.0

    def note(self, error: AsrError | None) -> None:
        """Count a result. Raises ``LoadError`` when it is time to give up."""
        if error is None:
            self._in_a_row = 0
            return
        if self._in_a_row == 0:
            self._since_s = perf_counter()
        self._in_a_row += 1
        if self._in_a_row % FAILURES_TO_CHECK == 0:
            self._check()
        if self._in_a_row >= FAILURES_TO_CHECK and perf_counter() - self._since_s > FAILING_S:
            raise LoadError(
                f"every request failed for {FAILING_S:g} s, {self._in_a_row} of them, although the "
                f"server is up; the last said: {error}"
            )


def _decoding(contract: Contract, options: LoadOptions, most: int) -> Stage:
    make = partial(TimedDecoder, contract, options.decoder)
    if isinstance(options.decoder, SearchOptions) and options.threads:
        return InThreads(make(), options.threads, requests_ahead(most))
    return InThread(make())


def _nothing_answered(records: list[Record], level: Level, wall_s: float) -> str:
    errors = sorted({each.error for each in records if each.error})
    reason = f"they failed with {', '.join(errors)}" if errors else "give it more --seconds"
    return (
        f"no request was answered in {wall_s:.0f} s at {level.label}, of {len(records)} sent: "
        f"{reason}"
    )
