"""Ordered results of concurrent work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, Final, TypeVar

from .forks import OwnerProcess

T = TypeVar("T")

_STOP_S: Final = 0.1
"""How often a consumer that waits for the next item looks whether it has to stop."""


def in_order(
    started: Iterable[T],
    future: Callable[[T], "Future[Any]"],
    most: int,
    stop: Event | None = None,
) -> Iterator[T]:
    """Each item in order, as soon as its ``future`` is done; at most ``most`` are in flight.

    Taking the next item of ``started`` starts it. A thread does this whenever fewer are in flight,
    so that finished items do not wait for a live source's next item. An exception of ``started``
    is raised after the items before it. When the consumer stops, the thread ends, at the latest
    with the next item of ``started``. Once ``stop`` is set, the items end where ``started`` has no
    next one yet; this needs ``most`` of at least 2. Raises ``ForkError`` in a forked child.
    """
    if most == 1:  # nothing is started ahead: a thread would only cost time
        for item in started:
            wait([future(item)])
            yield item
        return
    owner = OwnerProcess("these results")
    items: SimpleQueue[T | _End] = SimpleQueue()
    room = Semaphore(most - 1)
    over = Event()
    pull = partial(copy_context().run, _pull, started, items, room, over)
    Thread(target=pull, name="in order", daemon=True).start()
    try:
        while not isinstance(taken := _next(items, stop), _End):
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
    """The end of the items: the error of their source, if any."""

    error: BaseException | None = None


def _next(items: "SimpleQueue[T | _End]", stop: Event | None) -> T | _End:
    """The next item, or the end where ``stop`` is set and none comes."""
    if stop is None:
        return items.get()
    while True:
        last = stop.is_set()
        try:
            return items.get(timeout=_STOP_S)
        except Empty:
            if last:
                return _End()


def _pull(
    started: Iterable[T], items: "SimpleQueue[T | _End]", room: Semaphore, over: Event
) -> None:
    end = _End()
    try:
        for item in started:
            items.put(item)
            room.acquire()
            if over.is_set():
                return
    except BaseException as error:  # noqa: BLE001 -- the consumer raises it, whatever it is
        end = _End(error)
    items.put(end)
