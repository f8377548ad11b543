"""Many things under way at once, and taken in the order in which they were started."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_order(started: Iterable[T], done: Callable[[T], bool], most: int) -> Iterator[T]:
    """Each thing in order, as soon as it is ``done``, or when ``most`` are under way.

    Taking the next of ``started`` starts it, which happens when it is needed and not before.
    """
    pending: deque[T] = deque()
    for each in started:
        pending.append(each)
        while pending and (len(pending) >= most or done(pending[0])):
            yield pending.popleft()
    yield from pending
