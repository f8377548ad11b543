"""The tables of ``python -m benchmarks peers``."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table

from benchmarks.peers.contest import Accuracy, Pace

_CPU: Final = ("CPU s a minute", "cores", "strangers")


def pace_table(paces: Iterable[Pace], title: str) -> Table:
    """Speeds in turns; cores are CPU time over wall time, the strangers' too."""
    table = _table(title, "RTFx", "quartiles", "ratio", *_CPU, "CER to NeMo")
    for pace in paces:
        speed = pace.speed
        table.add_row(
            pace.task,
            f"{speed.rtfx:.1f}",
            f"{speed.rtfx_low:.1f} - {speed.rtfx_high:.1f}",
            f"{speed.ratio:.2f}",
            f"{pace.cpu_per_minute_s:.2f}",
            f"{pace.cores:.2f}",
            f"{pace.strangers:.2f}",
            _share(pace.from_nemo),
        )
    return table


def accuracy_table(accuracies: Sequence[Accuracy], title: str) -> Table:
    """Word errors, and what batches change."""
    table = _table(title, "errors", "WER", "changed in batches", "text as NeMo's")
    for each in accuracies:
        table.add_row(
            each.task,
            f"{each.errors} of {each.words}",
            f"{each.wer:.2%}",
            _share(each.changed),
            _share(each.as_nemo),
        )
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
