"""Delayed callbacks, on one thread that starts with the first of them."""

import heapq
import logging
import threading
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import TypeAlias

_log = logging.getLogger(__name__)

Action: TypeAlias = Callable[[], None]


class Timer:
    """Calls each action when its time has come; they must be quick. What they raise is logged."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Action]] = []  # a heap: the earliest first
        self._numbers = count()
        self._closed = False
        self._thread: threading.Thread | None = None

    def after(self, delay_s: float, action: Action) -> None:
        """Call ``action`` in ``delay_s`` seconds, or at once when the timer is closed."""
        with self._changed:
            if not self._closed:
                entry = (monotonic() + delay_s, next(self._numbers), action)
                heapq.heappush(self._due, entry)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="timer", daemon=True)
                    self._thread.start()
                self._changed.notify()
                return
        action()

    def close(self) -> None:
        """Call what is left at once: whoever waits for it must learn that it is over."""
        with self._changed:
            self._closed = True
            left = [action for *_, action in sorted(self._due)]
            self._due.clear()
            self._changed.notify()
        for action in left:
            action()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception:  # noqa: BLE001 -- the other actions must go on
                _log.exception("an action failed")

    def _next(self) -> Action | None:
        """Wait for the next action; ``None`` when the timer is closed."""
        with self._changed:
            while not self._closed:
                left_s = self._due[0][0] - monotonic() if self._due else None
                if left_s is not None and left_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left_s)
        return None
