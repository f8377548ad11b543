"""Repeats of each level put together: medians and quartiles of every figure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load.arrivals import CLOSED, Level
from benchmarks.measurement import quartiles


@dataclass(frozen=True)
class Summary:
    """A level's figures over its repeats: of each figure its median and its quartiles."""

    level: Level
    repeats: int
    median: Mapping[str, Any]
    low: Mapping[str, Any]
    high: Mapping[str, Any]


def summarise(points: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """One summary for each level, closed loops first, lightest first."""
    groups: dict[Level, list[Mapping[str, Any]]] = {}
    for point in points:
        level = Level(point["kind"], point["level"])
        groups.setdefault(level, []).append(point["figures"])
    ordered = sorted(groups, key=lambda level: (level.kind != CLOSED, level.value))
    return [_summary(level, groups[level]) for level in ordered]


def _summary(level: Level, figures: Sequence[Mapping[str, Any]]) -> Summary:
    median = _combine(figures, statistics.median)
    low = _combine(figures, lambda values: quartiles(values)[0])
    high = _combine(figures, lambda values: quartiles(values)[1])
    return Summary(level, len(figures), median, low, high)


def _combine(several: Sequence[Any], how: Any) -> Any:
    """The same structure with each number combined; ``None`` where a repeat has none."""
    several = [each for each in several if each is not None]
    if not several:
        return None
    if isinstance(several[0], Mapping):
        keys = dict.fromkeys(key for each in several for key in each)
        return {key: _combine([each.get(key) for each in several], how) for key in keys}
    return how(several)
