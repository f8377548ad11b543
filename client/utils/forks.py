"""What a forked child does with what its parent holds: leaves it alone, and makes its own.

A child has its parent's memory without its threads: locks may be held there for ever, and sockets
and pipes are shared with the parent. So whatever has threads, locks, a connection or processes has
an ``OwnerProcess``, and asks it before it touches any of them.
"""

import ctypes
import os
from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, TypeVar

from ..errors import ForkError

T = TypeVar("T")


class OwnerProcess:
    """The process that made ``what``."""

    def __init__(self, what: str) -> None:
        self._what: Final = what
        self._pid: Final = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether it is this process."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """Raise ``ForkError`` in a forked child."""
        if not self.is_here:
            raise ForkError(
                f"{self._what} was made in process {self._pid} and cannot be used in process "
                f"{os.getpid()}, which was forked from it: make one in each process"
            )


class PerProcess(Generic[T]):
    """What ``make`` makes: now for this process, and for a forked child when it first asks."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = {os.getpid(): make()}
        self._locks: dict[int, Lock] = {}

    def get(self) -> T:
        """This process's own; raises what ``make`` raises."""
        pid = os.getpid()
        if pid not in self._made:
            with self._locks.setdefault(pid, Lock()):
                if pid not in self._made:
                    self._made[pid] = self._make()
        return self._made[pid]

    @property
    def made(self) -> T | None:
        """This process's own, if it has asked for it."""
        return self._made.get(os.getpid())


def never_freed(inherited: object) -> None:
    """Keep an object to the end of the process and beyond.

    For what a child inherits and whose destructor would wait for threads that are not there, or
    end a connection that the parent uses.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
