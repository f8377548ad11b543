"""How far a transcription has come: audio, speed, what is left, and what failed.

Where the manifest tells how long its recordings are, what is left is told by their seconds: an hour
does not count as much as a word.
"""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Final, TypeVar

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ..manifests.manifest import Entry, Size, duration_of
from ..transcriber import Result
from .streams import messages

_COLUMNS: Final = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[entries]}"),
    TextColumn("{task.fields[audio]}"),
    TextColumn("{task.fields[speed]}"),
    TimeRemainingColumn(),
    TextColumn("{task.fields[failed]}", style="red"),
)
T = TypeVar("T")


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


def tracked(things: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    """The things, how many have come shown in a terminal; ``what`` is shown as it stands."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        yield from progress.track(things, total=total, description=what)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
