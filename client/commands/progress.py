"""Progress bars in a terminal: of a transcription, and of the steps of an evaluation."""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ..manifests.manifest import Entry, Size, duration_of
from ..result import Result
from .streams import messages, report

if TYPE_CHECKING:
    from .. import evaluation

_COLUMNS: Final = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[entries]}"),
    TextColumn("{task.fields[audio]}"),
    TextColumn("{task.fields[speed]}"),
    TimeRemainingColumn(),
    TextColumn("{task.fields[failed]}", style="red"),
)


def shown(
    pairs: Iterable[tuple[Entry, Result]], size: Size | None, *, done: int = 0
) -> Iterator[tuple[Entry, Result]]:
    """The pairs, their progress shown in a terminal; ``done`` of ``size`` were done before."""
    start_s = perf_counter()
    entries, failed, audio_s = done, 0, 0.0
    by_audio = size is not None and size.audio_s is not None and not done
    total = None if size is None else size.audio_s if by_audio else size.entries
    with Progress(*_COLUMNS, console=messages, disable=not messages.is_terminal) as progress:
        task = progress.add_task(
            "Transcribing", total=total, completed=done, entries="", audio="", speed="", failed=""
        )
        for entry, result in pairs:
            entries += 1
            failed += result.error is not None
            audio_s += result.duration_s
            progress.update(
                task,
                advance=duration_of(entry) if by_audio else 1,
                entries=f"{entries:,}" + (f"/{size.entries:,}" if size else ""),
                audio=clock(audio_s),
                speed=f"RTFx {audio_s / (perf_counter() - start_s):.0f}",
                failed=f"{failed:,} failed" if failed else "",
            )
            yield entry, result


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class Display(Progress):
    """A bar for each step, in a terminal."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=messages,
            disable=not messages.is_terminal,
        )
        self._steps: dict[str, TaskID] = {}

    def show(self, step: str, done: int, total: int, description: str = "") -> None:
        """Set how much of the step is done."""
        if step not in self._steps:
            self._steps[step] = self.add_task(step, total=total)
        self.update(self._steps[step], total=total, completed=done, description=description or step)

    def on_progress(self, done: "evaluation.Progress") -> None:
        """Advance the entry's step, and report its failure and warnings."""
        self.show(done.step, done.done, done.total)
        report(done.entry.name, done.result)
