"""Constant load for a long time: does memory grow, does throughput fall?

The load goes in pieces, each with figures of its own, so that the client keeps no records over the
whole time: its own memory is what is measured. A thread samples both sides each second throughout.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final, Self

import numpy as np

from benchmarks.errors import LoadError
from benchmarks.load.arrivals import Level
from benchmarks.load.loop import run_load
from benchmarks.load.resources import Sample
from benchmarks.load.sweep import Run, as_figures

EVERY_S: Final = 1.0
PIECE_S: Final = 30.0
AGAIN_S: Final = 0.5
"""To get going again between pieces; not counted."""
SETTLING_SHARE: Final = 0.25
"""The first part of a soak: memory fills until the largest batches have been seen."""
LEAK_MB_PER_HOUR: Final = 30.0
NOTICED_MB_PER_HOUR: Final = 1.0
BLOCK_S: Final = 60.0
"""Memory moves in steps: samples within this time say the same thing once."""
KEEP_S: Final = 60.0
"""How often what there is is kept: hours of measuring are not lost when this process dies."""
LEAST_S: Final = 300.0
"""Of settled memory, before anything is said of it."""
_TOO_SHORT: Final = "cannot be told from this time: soak longer"
_GOES_ON: Final = "not yet, or the benchmark itself was ended"
_MEGA: Final = 1e6


@dataclass(frozen=True)
class Growth:
    """A straight line through the memory of one side after it has settled.

    ``error_mb_per_hour`` is twice the standard error of the slope.
    """

    seconds: float
    mb_per_hour: float
    error_mb_per_hour: float
    first_mb: float
    last_mb: float
    most_mb: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.seconds < LEAST_S:
            return _TOO_SHORT
        if self.mb_per_hour - self.error_mb_per_hour > LEAK_MB_PER_HOUR:
            return "grows"
        if self.mb_per_hour + self.error_mb_per_hour > LEAK_MB_PER_HOUR:
            return _TOO_SHORT
        if self.mb_per_hour - self.error_mb_per_hour > NOTICED_MB_PER_HOUR:
            return f"grows by less than {LEAK_MB_PER_HOUR:g} MB an hour"
        return "does not grow"


class Sampler:
    """Samples resources each second on a thread of its own, while the ``with`` block lasts."""

    def __init__(self, resources: Callable[[float], Sample]) -> None:
        self.samples: list[Sample] = []
        self._resources = resources
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.samples.append(self._resources(perf_counter()))


@dataclass(frozen=True)
class Listener:
    """Who is told of each piece, and who keeps what there is each minute."""

    tell: Callable[[Mapping[str, Any]], None]
    keep: Callable[[Mapping[str, Any]], None]


def soak(run: Run, level: Level, seconds: float, listener: Listener) -> dict[str, Any]:
    """Press for ``seconds``; memory over time, what it grew, and the figures of each piece.

    ``ended`` says why it ended early, if it did, and that it has not in what is kept
    meanwhile, which lacks the growth. Raises :class:`LoadError` when too little was seen for
    anything to be said.
    """
    pieces: list[Mapping[str, Any]] = []
    ended = ""
    start_s = kept_s = perf_counter()
    with Sampler(run.target.probe.resources) as sampler:
        try:
            for piece in _pieces(run, level, seconds):
                pieces.append(piece)
                listener.tell(piece)
                if perf_counter() - kept_s >= KEEP_S:
                    kept_s = perf_counter()
                    listener.keep(_found(_GOES_ON, list(sampler.samples), start_s, pieces))
        except LoadError as error:
            if not pieces:
                raise
            ended = str(error)
    # The server's memory is of no interest once it is gone.
    end_s = perf_counter() if not ended else start_s + pieces[-1]["at_s"]
    samples = [each for each in sampler.samples if each.at_s <= end_s]
    found = _found(ended, samples, start_s, pieces)
    growth = {side: grown(found["at_s"], mb) for side, mb in found["memory_mb"].items()}
    return {**found, "growth": growth}


def _found(
    ended: str, samples: Sequence[Sample], start_s: float, pieces: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    memory = memory_over_time(samples, start_s)
    return {"ended": ended, "at_s": memory.pop("at_s"), "memory_mb": memory, "pieces": pieces}


def _pieces(run: Run, level: Level, seconds: float) -> Iterator[Mapping[str, Any]]:
    """Figures of one piece after the other, and when each ended."""
    start_s = perf_counter()
    number = 0
    while (left_s := start_s + seconds - perf_counter()) > 0:
        options = replace(
            run.options,
            seconds=min(PIECE_S, left_s),
            warmup_s=run.options.warmup_s if number == 0 else AGAIN_S,
            seed=run.options.seed + number,
        )
        figures = as_figures(run_load(run.target, run.utterances, level, options), level)
        yield {"at_s": perf_counter() - start_s, "figures": figures}
        number += 1


def memory_over_time(samples: Sequence[Sample], start_s: float) -> dict[str, list[float]]:
    """``at_s`` and the memory of each side that was seen, in MB."""
    memory = {
        "at_s": [round(each.at_s - start_s, 2) for each in samples],
        "client": [each.client.rss_bytes / _MEGA for each in samples],
    }
    server = [each.server.rss_bytes / _MEGA for each in samples if each.server is not None]
    if len(server) == len(samples):
        memory["server"] = server
    return memory


def grown(times_s: Sequence[float], memory_mb: Sequence[float]) -> Growth:
    """What the memory grew after the first quarter of the time.

    Raises :class:`LoadError` when there are too few samples for a line.
    """
    settled = int(len(times_s) * SETTLING_SHARE)
    x = np.asarray(times_s[settled:]) / 3600
    y = np.asarray(memory_mb[settled:])
    if len(x) < 4:
        raise LoadError(f"{len(times_s)} samples of memory, expected 6 or more: soak longer")
    slope, level = np.polyfit(x, y, 1)
    residuals = y - (slope * x + level)
    seconds = times_s[-1] - times_s[settled]
    independent = max(3.0, seconds / BLOCK_S)
    variance = float((residuals**2).mean()) * independent / (independent - 2)
    error = 2 * float(np.sqrt(variance / independent)) / float(x.std())
    return Growth(seconds, float(slope), error, float(y[0]), float(y[-1]), float(max(memory_mb)))
