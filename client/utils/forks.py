"""Resources of a forked child: it never touches its parent's, and makes its own.

A child has its parent's memory without its threads: locks may stay held for ever, and sockets and
pipes are shared with the parent. So an object with threads, locks, a connection or processes has
an ``OwnerProcess``, and checks it before it uses any of them.
"""

import ctypes
import os
from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, TypeVar

from ..errors import ForkError

T = TypeVar("T")


class OwnerProcess:
    """The process that created ``what``."""

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
                f"{self._what} cannot be used in process {os.getpid()}: process {self._pid}, which "
                "it was forked from, created it: create one in each process"
            )


class PerProcess(Generic[T]):
    """An object of each process: created now for this one, on first use in a forked child."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = {os.getpid(): make()}
        self._locks: dict[int, Lock] = {}

    def get(self) -> T:
        """This process's object; raises what ``make`` raises."""
        pid = os.getpid()
        if pid not in self._made:
            with self._locks.setdefault(pid, Lock()):
                if pid not in self._made:
                    self._made[pid] = self._make()
        return self._made[pid]

    @property
    def made(self) -> T | None:
        """This process's object, if it was created."""
        return self._made.get(os.getpid())


def never_freed(inherited: object) -> None:
    """Keep an object to the end of the process and beyond.

    For inherited objects whose destructor would wait for threads that the child lacks, or close a
    connection that the parent uses.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
