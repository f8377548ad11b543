"""What ``evaluate`` and ``tune`` share: how models are run, and how far that has come."""

from argparse import Namespace
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ..evaluation import progress
from ..evaluation.acoustics import AcousticOptions
from .recordings import audio_options, long_audio_options
from .server import transport_options
from .streams import messages, report


def acoustic_options(args: Namespace, cache: Path | None) -> AcousticOptions:
    """How to read and send recordings; raises the errors of what it is made of."""
    return AcousticOptions(
        transport_options(args), audio_options(args), long_audio_options(args), cache
    )


def warn(said: str) -> None:
    """Say it on standard error."""
    messages.print(f"warning: {said}")


class Display(Progress):
    """Bars of steps in a terminal."""

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
        """So much of the step is done."""
        if step not in self._steps:
            self._steps[step] = self.add_task(step, total=total)
        self.update(self._steps[step], completed=done, description=description or step)

    def tell(self, done: progress.Progress) -> None:
        """An entry is done; its failure and warnings are reported."""
        self.show(done.step, done.done, done.total)
        report(done.entry.name, done.result)
