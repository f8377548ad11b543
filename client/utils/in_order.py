"""Ordered results of concurrent work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar

from .forks import OwnerProcess

T = TypeVar("T")


def in_order(started: Iterable[T], future: Callable[[T], "Future[Any]"], most: int) -> Iterator[T]:
    """Each thing in order, as soon as its ``future`` is done; at most ``most`` are under way.

    Taking the next thing of ``started`` starts it. A thread does this when there is room, so that
    nothing that is done waits for a live source to bring its next thing. An exception of
    ``started`` is raised after the things before it. When nobody takes more things the thread ends,
    at the latest when ``started`` brings the next one. Raises ``ForkError`` in a forked child.
    """
    if most == 1:  # nothing is started ahead, and a thread would only cost time
        for thing in started:
            wait([future(thing)])
            yield thing
        return
    owner = OwnerProcess("these results")
    things: SimpleQueue[T | _End] = SimpleQueue()
    room = Semaphore(most - 1)
    over = Event()
    pull = partial(copy_context().run, _pull, started, things, room, over)
    Thread(target=pull, name="in order", daemon=True).start()
    try:
        while not isinstance(taken := things.get(), _End):
            wait([future(taken)])
            yield taken
            owner.check()
            room.release()
        if taken.error is not None:
            raise taken.error
    finally:
        if owner.is_here:
            over.set()
            room.release()


@dataclass(frozen=True)
class _End:
    """What follows the last thing: the error of their source, if any."""

    error: BaseException | None = None


def _pull(
    started: Iterable[T], things: "SimpleQueue[T | _End]", room: Semaphore, over: Event
) -> None:
    end = _End()
    try:
        for thing in started:
            things.put(thing)
            room.acquire()
            if over.is_set():
                return
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is the taker's
        end = _End(error)
    things.put(end)
