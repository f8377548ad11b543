"""Timing jobs in turns, and what the times say: records in, a report out, nothing printed.

What flows through: named jobs → ``time_in_turns`` → one ``Run`` for each time that each
job ran → ``summarise`` → one ``Speed`` for each job. A noisy machine slows all jobs of a
round alike, so jobs take turns, and only medians are compared.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

Job = Callable[[], object]


@dataclass(frozen=True)
class Run:
    """One timed run of the job ``name``."""

    name: str
    wall_s: float


@dataclass(frozen=True)
class Speed:
    """What the runs of one job say.

    ``rtfx`` is seconds of audio for each second of the median run, ``rtfx_low`` and ``rtfx_high``
    the same for the third and the first quartile of the runs. ``ratio`` is ``rtfx`` over that of
    the first job.
    """

    name: str
    runs: int
    wall_median_s: float
    rtfx: float
    rtfx_low: float
    rtfx_high: float
    ratio: float


def time_in_turns(
    jobs: Mapping[str, Job],
    repeats: int,
    warmups: int = 2,
    clock: Callable[[], float] = perf_counter,
    settle: Job = lambda: None,
) -> list[Run]:
    """Run every job ``warmups`` times untimed, then in ``repeats`` rounds of one run of each.

    Each round begins with another job, so that none always follows the same one. ``settle`` is
    called before each timed run, for what the run before may have left behind.
    """
    for job in jobs.values():
        for _ in range(warmups):
            job()
    names = list(jobs)
    starts = (number % max(1, len(names)) for number in range(repeats))
    rounds = (names[start:] + names[:start] for start in starts)
    return [_timed(name, jobs[name], clock, settle) for order in rounds for name in order]


def _timed(name: str, job: Job, clock: Callable[[], float], settle: Job) -> Run:
    settle()
    start_s = clock()
    job()
    return Run(name, clock() - start_s)


def summarise(runs: Sequence[Run], audio_s: float) -> list[Speed]:
    """The speed of each job, in the order of the first round.

    Each run did ``audio_s`` seconds of audio.
    """
    times: dict[str, list[float]] = {}
    for run in runs:
        times.setdefault(run.name, []).append(run.wall_s)
    medians = {name: statistics.median(walls) for name, walls in times.items()}
    first = next(iter(medians.values()), 0.0)
    speeds = []
    for name, walls in times.items():
        fast, slow = quartiles(walls)
        speeds.append(
            Speed(
                name=name,
                runs=len(walls),
                wall_median_s=medians[name],
                rtfx=audio_s / medians[name],
                rtfx_low=audio_s / slow,
                rtfx_high=audio_s / fast,
                ratio=first / medians[name],
            )
        )
    return speeds


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile; of one value, itself twice."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third
