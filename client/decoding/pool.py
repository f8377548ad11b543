"""Decoding in several processes, which are replaced when they crash.

Flow: ``submit`` → queue → an idle worker takes its share → pipe → ``decoding.worker`` →
pipe → futures. Every worker has a pair of pipes and a thread here that writes a request, then
reads the reply. Nothing else is shared between processes, so that one may die at any moment.

Workers are fresh interpreters. ``multiprocessing``'s "spawn" is one too, but runs the caller's main
script again in each: without a main guard that is the whole program, and on standard input or in
a notebook there is no script to run.
"""

import math
import os
import pickle
import signal
import sys
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Condition, Event, Lock, Thread
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeAlias, cast
from weakref import WeakSet

from numpy.typing import NDArray

from ..errors import AsrError, DecoderError
from ..transcript import Transcript
from ..utils.forks import OwnerProcess, never_freed
from .worker import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from . import Decoder

DEFAULT_MAX_QUEUED: Final = 64

_Arguments: TypeAlias = tuple[NDArray[Any], float]  # of Decoder.decode

_MOST_IN_BATCH: Final = 32
_BUFFER_BYTES: Final = 1 << 18  # a batch of short utterances in few writes
_STARTS: Final = 3  # of a worker that dies before it is ready

_WORKER: Final = (
    f"import sys; sys.path[:] = sys.argv[1:]; from {__package__}.worker import main; main()"
)
_ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class DecoderPool:
    """Decodes in ``processes`` processes; a context manager.

    ``make`` is called once in each process, and so must be picklable: a function of a module, or
    ``functools.partial(make_decoder, contract, beam)``. At most ``max_queued`` utterances wait.

    The constructor returns when the first process is ready. Raises the error that ``make`` raises
    there, ``DecoderError`` for one that is not ours.
    """

    def __init__(
        self,
        make: "Callable[[], Decoder]",
        processes: int,
        max_queued: int = DEFAULT_MAX_QUEUED,
    ) -> None:
        if processes < 1 or max_queued < 1:
            raise ValueError(
                f"processes is {processes} and max_queued {max_queued}, expected at least 1 of each"
            )
        try:
            self._make: Final = pickle.dumps(make)
        except Exception as error:
            raise TypeError(
                f"{make!r} cannot be pickled, expected a function of a module or a"
                f" functools.partial of one: {error}"
            ) from error
        self._owner: Final = OwnerProcess("this pool of decoding processes")
        self._max_queued: Final = max_queued
        self._queue: Final[deque[_Utterance]] = deque()
        self._retries: Final[deque[_Utterance]] = deque()
        self._workers: Final[list[_Worker | None]] = [None] * processes
        self._end: AsrError | None = None  # why nothing is decoded any more
        self._lock: Final = Lock()  # of all above
        self._work: Final = Condition(self._lock)
        self._room: Final = Condition(self._lock)
        self._started: Final = Event()  # a worker is ready, or none will be
        self._threads: Final = [
            Thread(target=self._serve, args=(slot,), name=f"decoder-{slot}", daemon=True)
            for slot in range(processes)
        ]
        try:
            for thread in self._threads:
                thread.start()
            self._started.wait()
            self._check_open()
        except BaseException:
            self.close()
            raise

    def submit(self, log_probs: NDArray[Any], duration_s: float = math.inf) -> Future[Transcript]:
        """Queue one utterance, as ``Decoder.decode`` takes it; waits while the queue is full.

        Any thread may call it, save one that runs a callback of these futures: it could wait for
        itself. The array is read later and must stay as it is until the future is done. Futures
        are done in any order: for results in order, keep the futures in order. A future raises
        what ``decode`` raises, and ``DecoderError`` when the utterance crashed two processes.

        Raises ``DecoderError`` when the pool is closed, before or while it waits, and when
        no process starts any more; ``ForkError`` in a forked child.
        """
        self._owner.check()
        utterance = _Utterance((log_probs, duration_s))
        with self._lock:
            self._room.wait_for(lambda: self._end or len(self._queue) < self._max_queued)
            self._check_open()
            self._queue.append(utterance)
            self._work.notify()
        return utterance.future

    def close(self) -> None:
        """End the processes at once; what is not decoded yet fails with ``DecoderError``.

        Does nothing in a forked child, whose parent's processes these are.
        """
        if not self._owner.is_here:
            return
        self._stop(DecoderError("the decoder pool is closed: close it after the last result"))
        with self._lock:
            workers = [worker for worker in self._workers if worker]
        for worker in workers:
            worker.kill()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self, slot: int) -> None:
        """Feed one worker after another, in a thread of its own."""
        try:
            while True:
                worker = self._start(slot)
                try:
                    while self._decode_batch(worker):
                        pass
                finally:
                    worker.end()
        except Exception as error:  # noqa: BLE001  # whatever it is, or callers wait for ever
            self._stop(portable(error, "the decoder pool failed"))

    def _start(self, slot: int) -> "_Worker":
        """A worker that is ready. Raises what ``make`` raises, and why the pool ended."""
        for _ in range(_STARTS):
            with self._lock:  # so that close() either prevents or sees this worker
                self._check_open()
                worker = self._workers[slot] = _Worker()
            try:
                refusal = worker.ask([self._make])
            except _WorkerDied as death:
                fate = str(death)
                continue
            if refusal is None:
                self._started.set()
                return worker
            worker.end()
            raise refusal
        raise DecoderError(
            f"a decoding process {fate} while starting, {_STARTS} times: standard error may tell"
            " why; otherwise look for memory to run out"
        )

    def _decode_batch(self, worker: "_Worker") -> bool:
        """Serve the next utterances; False when the worker is dead."""
        batch = self._take(worker)
        if not batch:
            return False
        try:
            outcomes = worker.decode([utterance.arguments for utterance in batch])
        except _WorkerDied as death:
            self._try_again(batch, death)
            return False
        for utterance, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, AsrError):
                utterance.future.set_exception(outcome)
            else:
                utterance.future.set_result(outcome)
        return True

    def _take(self, worker: "_Worker") -> "list[_Utterance]":
        """Wait for work: one utterance to try again, or a fair share; none for a dead worker."""
        with self._lock:
            while True:
                self._work.wait_for(lambda: self._end or self._retries or self._queue)
                self._check_open()
                if not worker.alive:  # it died idle, which is no utterance's fault
                    self._work.notify()
                    return []
                if self._retries:
                    return [self._retries.popleft()]
                share = -(-len(self._queue) // len(self._workers))
                batch = [self._queue.popleft() for _ in range(min(share, _MOST_IN_BATCH))]
                self._room.notify(len(batch))
                if wanted := [utterance for utterance in batch if utterance.wanted()]:
                    return wanted

    def _try_again(self, batch: "list[_Utterance]", death: "_WorkerDied") -> None:
        """Queue what a dead worker held, one by one; what killed two workers fails."""
        with self._lock:
            again = [] if self._end else [each for each in batch if not each.tried]
            for utterance in again:
                utterance.tried = True
            self._retries.extend(again)
            self._work.notify(len(again))
            end = self._end
        for utterance in batch:
            if utterance not in again:
                utterance.future.set_exception(copy(end) if end else _crash(utterance, death))

    def _check_open(self) -> None:
        if self._end:
            raise copy(self._end)

    def _stop(self, end: AsrError) -> None:
        """Decode nothing more, for the first reason given; what waits fails with it."""
        with self._lock:
            self._end = end = self._end or end
            stranded = [*self._retries, *self._queue]
            self._retries.clear()
            self._queue.clear()
            self._work.notify_all()
            self._room.notify_all()
        self._started.set()
        for utterance in stranded:
            if utterance.wanted():
                utterance.future.set_exception(copy(end))


@dataclass(eq=False)
class _Utterance:
    """An utterance that waits or is decoded; ``tried`` when a worker died over it."""

    arguments: _Arguments
    future: Future[Transcript] = field(default_factory=Future)
    tried: bool = False

    def wanted(self) -> bool:
        """Whether the caller has not cancelled it, and from now on cannot."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


class _WorkerDied(Exception):
    """A worker process is no more; says what ended it."""


class _Worker:
    """A process of ``decoding.worker``, and the thread's end of its pipes."""

    def __init__(self) -> None:
        self._process: Final = Popen(
            [sys.executable, "-c", _WORKER, *map(str, sys.path)],
            stdin=PIPE,
            stdout=PIPE,
            bufsize=_BUFFER_BYTES,
            env=os.environ | _ONE_THREAD,
            process_group=0,  # out of reach of the terminal's Ctrl-C, which the parent handles
        )
        self._requests: Final = cast("IO[bytes]", self._process.stdin)
        self._replies: Final = cast("IO[bytes]", self._process.stdout)
        _workers.add(self)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, utterances: list[_Arguments]) -> list[Transcript | AsrError]:
        """A transcript or error for each. Raises ``_WorkerDied``."""
        outcomes: list[Transcript | AsrError] = self.ask(
            map(_pickled, (len(utterances), *utterances))
        )
        return outcomes

    def ask(self, request: "Iterable[bytes]") -> Any:
        """The reply to pickles. Raises ``_WorkerDied``."""
        try:
            self._requests.writelines(request)
            self._requests.flush()
            return pickle.load(self._replies)  # noqa: S301  # of our own process
        except Exception as error:
            # A pipe or a pickle that ends too early. What else it may be, the worker is of no use
            # in the middle of an exchange, and only this way does the caller hear of it.
            raise _WorkerDied(self.end()) from error

    def let_go(self) -> None:
        """In a forked child: leave the pipes to the parent.

        Held open here, they would keep the process from noticing that the parent is gone; closed
        with what is left in a buffer, they would put that between the parent's requests.
        """
        never_freed(self)
        with suppress(ValueError), Path(os.devnull).open("r+b") as null:  # it has ended
            for pipe in (self._requests, self._replies):
                os.dup2(null.fileno(), pipe.fileno(), inheritable=False)

    def kill(self) -> None:
        """End the process, from any thread; ``ask`` then raises."""
        self._process.kill()

    def end(self) -> str:
        """End the process where it has not ended, and say how it did."""
        self._process.kill()
        status = self._process.wait()
        self._replies.close()
        with suppress(BrokenPipeError):  # of a request that it did not read
            self._requests.close()
        if status < 0:
            return f"was killed by signal {-status} ({signal.strsignal(-status)})"
        return f"ended with exit status {status}"


_workers: WeakSet[_Worker] = WeakSet()


def _after_fork() -> None:
    for worker in _workers:
        worker.let_go()


os.register_at_fork(after_in_child=_after_fork)


def _crash(utterance: _Utterance, death: _WorkerDied) -> DecoderError:
    error = DecoderError(
        f"an utterance of shape {utterance.arguments[0].shape} crashed two decoding processes,"
        f" the second {death}: look for memory to run out, or decode it without a pool"
    )
    error.__cause__ = death
    return error


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
