"""What ``evaluate`` and ``tune`` share: options of the acoustic pass, and progress bars."""

from argparse import Namespace
from pathlib import Path

from rich import progress as bars

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
    """Print a warning on standard error."""
    messages.print(f"warning: {said}")


class Display(bars.Progress):
    """A bar for each step, in a terminal."""

    def __init__(self) -> None:
        super().__init__(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
            console=messages,
            disable=not messages.is_terminal,
        )
        self._steps: dict[str, bars.TaskID] = {}

    def show(self, step: str, done: int, total: int, description: str = "") -> None:
        """Set how much of the step is done."""
        if step not in self._steps:
            self._steps[step] = self.add_task(step, total=total)
        self.update(self._steps[step], completed=done, description=description or step)

    def on_progress(self, done: progress.Progress) -> None:
        """Advance the entry's step, and report its failure and warnings."""
        self.show(done.step, done.done, done.total)
        report(done.entry.name, done.result)
