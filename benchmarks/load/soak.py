"""Constant load for a long time: does memory grow, does throughput fall?

The load goes in pieces, each with figures of its own, so that the client keeps no records over the
whole time: its own memory is what is measured. Both sides are sampled each second of every piece.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.errors import LoadError
from benchmarks.load.loop import run_load
from benchmarks.load.sending import Level
from benchmarks.load.sweep import Run, as_figures
from benchmarks.load.watch import Sample

PIECE_S: Final = 30.0
LEAST_PIECE: Final = 0.1
"""Of a whole one: less at the end says nothing, and is left out."""
AGAIN_S: Final = 0.5
"""To get going again between pieces; not counted."""
SETTLING_SHARE: Final = 0.25
"""The first part of a soak: memory fills until the largest batches have been seen."""
LEAK_MB_PER_HOUR: Final = 30.0
NOTICED_MB_PER_HOUR: Final = 1.0
BLOCK_S: Final = 60.0
"""Memory moves in steps: samples within this time say the same thing once."""
LEAST_S: Final = 300.0
"""Of settled memory, before anything is said of it."""
LEAST_SAMPLES: Final = 6
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


@dataclass
class Soaked:
    """What was seen so far; ``ended`` says why it ended early, if it did, or that it goes on."""

    start_s: float
    ended: str = _GOES_ON
    pieces: list[Mapping[str, Any]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(piece["failed"] for piece in self.pieces)

    @property
    def at_s(self) -> list[float]:
        """When memory was seen."""
        return [each.at_s - self.start_s for each in self.samples]

    @property
    def memory_mb(self) -> dict[str, list[float]]:
        """The memory of each side that was seen."""
        memory = {"client": [each.client.rss_bytes / _MEGA for each in self.samples]}
        server = [each.server.rss_bytes / _MEGA for each in self.samples if each.server is not None]
        if len(server) == len(self.samples):
            memory["server"] = server
        return memory

    def growth(self) -> dict[str, Growth]:
        """What each side grew. Raises ``LoadError`` when too little was seen."""
        return {side: grown(self.at_s, memory) for side, memory in self.memory_mb.items()}

    def summary(self) -> dict[str, Any]:
        """Ready for JSON; without the growth where too little was seen."""
        growth = self.growth() if len(self.samples) >= LEAST_SAMPLES else {}
        return {
            "ended": self.ended,
            "pieces": len(self.pieces),
            **{
                name: sum(each[name] for each in self.pieces)
                for name in ("requests", "failed", "audio_s")
            },
            "rtfx": _course([each["rtfx"] for each in self.pieces]),
            "p95_ms": _course(
                [each["latency_ms"]["p95"] for each in self.pieces if each["latency_ms"]]
            ),
            "growth": {
                side: {**asdict(each), "verdict": each.verdict} for side, each in growth.items()
            },
        }


def soak(run: Run, level: Level, seconds: float, tell: Callable[[Soaked], None]) -> Soaked:
    """Apply the load for ``seconds``; ``tell`` gets the record so far after each piece.

    Raises ``LoadError`` when the server died before there was a piece.
    """
    found = Soaked(perf_counter())
    while (left_s := found.start_s + seconds - perf_counter()) > LEAST_PIECE * PIECE_S:
        options = replace(
            run.options,
            seconds=min(PIECE_S, left_s),
            warmup_s=AGAIN_S if found.pieces else run.options.warmup_s,
            seed=run.options.seed + len(found.pieces),
        )
        try:
            outcome = run_load(run.target, run.utterances, level, options)
        except LoadError as error:
            if not found.pieces:
                raise
            found.ended = str(error)
            return found
        found.pieces.append(as_figures(outcome, level))
        found.samples += outcome.watched.samples
        tell(found)
    found.ended = ""
    return found


def grown(times_s: Sequence[float], memory_mb: Sequence[float]) -> Growth:
    """What the memory grew after the first quarter of the time.

    Raises ``LoadError`` when there are too few samples for a line.
    """
    if len(times_s) < LEAST_SAMPLES:
        raise LoadError(
            f"{len(times_s)} samples of memory, expected {LEAST_SAMPLES} or more: soak longer"
        )
    settled = int(len(times_s) * SETTLING_SHARE)
    x = np.asarray(times_s[settled:]) / 3600
    y = np.asarray(memory_mb[settled:])
    slope, level = np.polyfit(x, y, 1)
    residuals = y - (slope * x + level)
    seconds = times_s[-1] - times_s[settled]
    independent = max(3.0, seconds / BLOCK_S)
    variance = float((residuals**2).mean()) * independent / (independent - 2)
    error = 2 * float(np.sqrt(variance / independent)) / float(x.std())
    return Growth(seconds, float(slope), error, float(y[0]), float(y[-1]), float(max(memory_mb)))


def _course(values: Sequence[float]) -> dict[str, float]:
    """The first piece's, the last's, and what lies between."""
    if not values:
        return {}
    return {
        "first": values[0],
        "least": min(values),
        "median": statistics.median(values),
        "most": max(values),
        "last": values[-1],
    }
