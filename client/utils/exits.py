"""Threads in compiled code when the interpreter exits.

A daemon thread that comes back from C++ while the interpreter is being finalised is ended there,
which C++ answers by aborting the process. So it must not be in C++ then.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event, current_thread, main_thread
from typing import Final

_MOST_WAIT_S: Final = 5.0


class Gate:
    """Lets threads into compiled code until the interpreter exits, and waits for those in it.

    From then on, threads other than the main one wait here until they end with the process.
    """

    def __init__(self) -> None:
        self._reset()
        atexit.register(self._close)
        os.register_at_fork(after_in_child=self._reset)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within compiled code."""
        with self._changed:
            closed = self._closed
            self._inside += not closed
        if closed and current_thread() is not main_thread():
            Event().wait()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= not closed
                self._changed.notify_all()

    def _reset(self) -> None:
        """A forked child has none of its parent's other threads, but the lock that one may hold."""
        self._changed = Condition()
        self._inside = 0
        self._closed = False

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0, _MOST_WAIT_S)
