"""The progress of an evaluation or a tuning, for its caller, entry by entry."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..manifests.manifest import Entry
from ..result import Result


@dataclass(frozen=True)
class Progress:
    """``entry`` is done: number ``done`` of ``total`` in this ``step``.

    ``result`` holds its error, and warnings; its text is empty in the step "Transcribing".
    """

    step: str
    done: int
    total: int
    entry: Entry
    result: Result


OnProgress: TypeAlias = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing."""


def tracked(
    step: str, results: Iterable[tuple[Entry, Result]], total: int, on_progress: OnProgress
) -> Iterator[tuple[Entry, Result]]:
    """The results; ``on_progress`` is called for each of them first."""
    for done, (entry, result) in enumerate(results, start=1):
        on_progress(Progress(step, done, total, entry, result))
        yield entry, result
