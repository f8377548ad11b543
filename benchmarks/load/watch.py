"""Statistics and resources while a load runs: before, after, and each second in between."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Self

from benchmarks.errors import LoadError
from benchmarks.load.records import Window
from benchmarks.load.resources import Sample
from benchmarks.load.statistics import Statistics

EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Probe:
    """How to look at a server under load: both may raise when it is gone."""

    statistics: Callable[[], Statistics]
    resources: Callable[[float], Sample]


@dataclass(frozen=True)
class Watched:
    """What a watch saw in its window."""

    window: Window
    before: Statistics
    after: Statistics
    samples: list[Sample] = field(default_factory=list)


class Watch:
    """Looks from ``start_s`` until ``end_s``, or until the ``with`` block ends if that is earlier.

    It looks on a thread of its own: the load goes on meanwhile.
    """

    def __init__(self, probe: Probe, start_s: float, end_s: float = float("inf")) -> None:
        self._probe = probe
        self._start_s = start_s
        self._end_s = end_s
        self._finished = threading.Event()
        self._watched: Watched | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def seen(self) -> Watched:
        """What was seen. Raises :class:`LoadError` when the server did not tell, or nothing was."""
        if self._error is not None:
            raise LoadError(
                f"the server stopped telling its statistics: {self._error}: see its log, and start "
                "it again"
            ) from self._error
        if self._watched is None:
            raise LoadError("the load ended before it was measured: give it more time or requests")
        return self._watched

    def _run(self) -> None:
        try:
            self._watched = self._look()
        except Exception as error:  # noqa: BLE001 -- of this thread, and raised in the caller's
            self._error = error

    def _look(self) -> Watched | None:
        if self._finished.wait(max(0.0, self._start_s - perf_counter())):
            return None
        start_s = perf_counter()
        before = self._probe.statistics()
        samples = [self._probe.resources(start_s)]
        while (left_s := self._end_s - perf_counter()) > 0 and not self._finished.is_set():
            self._finished.wait(min(left_s, EVERY_S))
            samples.append(self._probe.resources(perf_counter()))
        end_s = perf_counter()
        return Watched(Window(start_s, end_s), before, self._probe.statistics(), samples)
