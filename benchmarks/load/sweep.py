"""Loads at several levels, repeated in turns, each kept as soon as it is finished.

The file is a JSON object: circumstances, ``settings``, ``points``, and what a command keeps there
beside them. It is replaced as a whole after every point, so that an interrupted run can be resumed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import LoadError
from benchmarks.load.figures import figures_of
from benchmarks.load.loop import LoadOptions, Outcome, Target, run_load
from benchmarks.load.sending import Level, Utterances
from benchmarks.report import as_json, write_json

Document = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One point of a sweep: a level, for the ``repeat``-th time from 0."""

    level: Level
    repeat: int


class Points:
    """The points of a run, in a file if there is one."""

    def __init__(self, path: Path | None, document: Document) -> None:
        self._path = path
        self.document: Document = {**document, "points": []}

    def resume(self, *others: str) -> None:
        """Take over the points of the file, if it is there, and what it has under ``others``.

        Raises ``LoadError`` when it is none of this command's, or had other settings.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            earlier = json.loads(self._path.read_text(encoding="utf-8"))
            points, settings = earlier["points"], earlier["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise LoadError(f"{self._path} holds no load benchmark: {error!r}") from error
        ours = json.loads(as_json(self.document["settings"]))
        if differing := sorted(
            key for key in ours | settings if ours.get(key) != settings.get(key)
        ):
            raise LoadError(
                f"{self._path} was measured with other {', '.join(differing)}: leave out --resume, "
                "or give what was given then"
            )
        self.document["points"] = points
        self.document |= {key: earlier[key] for key in others if key in earlier}

    def done(self, turn: Turn) -> bool:
        """Whether this turn has been measured."""
        wanted = _key(turn)
        return any(wanted.items() <= point.items() for point in self.document["points"])

    def add(self, turn: Turn, figures: Mapping[str, Any]) -> None:
        """Keep a finished point."""
        self.document["points"].append({**_key(turn), "figures": dict(figures)})
        self.write()

    def keep(self, name: str, found: Any) -> None:
        """Keep something else that was measured, under its ``name`` in the document."""
        self.document[name] = found
        self.write()

    def write(self) -> None:
        """Write the file anew, whole or not at all."""
        write_json(self._path, self.document)


def turns(levels: Sequence[Level], repeats: int) -> Iterator[Turn]:
    """All levels, ``repeats`` times, each round beginning with another."""
    for repeat in range(repeats):
        start = repeat % len(levels)
        for level in (*levels[start:], *levels[:start]):
            yield Turn(level, repeat)


@dataclass(frozen=True)
class Run:
    """What a sweep measures with: where, what and how."""

    target: Target
    utterances: Utterances
    options: LoadOptions


def sweep(
    run: Run,
    plan: Sequence[Turn],
    points: Points,
    tell: Callable[[Turn, Mapping[str, Any]], None],
) -> None:
    """Measure every turn of the plan that is not among the ``points``, and add it there.

    Raises as ``run_load`` does; what was measured before stays.
    """
    for turn in plan:
        if points.done(turn):
            continue
        seeded = replace(run.options, seed=run.options.seed + turn.repeat)
        outcome = run_load(run.target, run.utterances, turn.level, seeded)
        figures = as_figures(outcome, turn.level)
        points.add(turn, figures)
        tell(turn, figures)


def as_figures(outcome: Outcome, level: Level) -> dict[str, Any]:
    """The figures of one load, ready for JSON."""
    watched = outcome.watched
    figures = figures_of(
        outcome.records,
        watched.window,
        watched.after.since(watched.before),
        watched.samples,
        level.kind,
    )
    return asdict(figures)


def _key(turn: Turn) -> dict[str, Any]:
    """What tells a point from the others."""
    return {"kind": turn.level.kind, "level": turn.level.value, "repeat": turn.repeat}
