"""The table of a sweep: the same columns in the terminal, in Markdown and on the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.load.figures import encoder_batch
from benchmarks.load.summary import Summary

NONE = "-"


def columns(summaries: Sequence[Summary]) -> dict[str, list[str]]:
    """Heading to one cell for each summary; columns that nothing is known for are left out."""
    rows = [_row(summary) for summary in summaries]
    headings = dict.fromkeys(heading for row in rows for heading in row)
    table = {heading: [row.get(heading, NONE) for row in rows] for heading in headings}
    return {heading: cells for heading, cells in table.items() if set(cells) != {NONE}}


def markdown(table: Mapping[str, Sequence[str]]) -> str:
    """The table in Markdown, numbers to the right."""
    lines = [list(table), ["---", *["--:"] * (len(table) - 1)]]
    lines += [list(cells) for cells in zip(*table.values(), strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def rich_table(table: Mapping[str, Sequence[str]], title: str) -> Table:
    """The table for a terminal."""
    made = Table(title=title)
    for number, heading in enumerate(table):
        made.add_column(heading, justify="right" if number else "left")
    for cells in zip(*table.values(), strict=True):
        made.add_row(*cells)
    return made


def _row(summary: Summary) -> dict[str, str]:
    figures = summary.median
    latency = figures["latency_ms"] or {}
    transcript = figures["transcript_ms"] or {}
    server = figures["server"] or {}
    spread = ""
    if summary.repeats > 1:
        spread = f" ({_number(summary.low['rtfx'])} - {_number(summary.high['rtfx'])})"
    return {
        "load": summary.level.label,
        "RTFx": f"{_number(figures['rtfx'])}{spread}",
        "requests/s": f"{figures['requests_per_s']:.1f}",
        "p50 ms": _number(latency.get("p50")),
        "p90 ms": _number(latency.get("p90")),
        "p95 ms": _number(latency.get("p95")),
        "p99 ms": _number(latency.get("p99")),
        "transcript p95 ms": _number(transcript.get("p95")),
        "encoder batch": _number(encoder_batch(figures["mean_batch"])),
        "padding": f"{figures['padding_share']:.1%}",
        "server CPU ms": _number(server.get("cpu_s_per_audio_s"), "", 1000),
        "client CPU ms": _number(figures["client"]["cpu_s_per_audio_s"], "", 1000),
        "server MB": _number(server.get("rss_last_mb")),
        "GPU": _number(figures["gpu_share"], "%", 100),
        "failed": f"{figures['failed']:.0f}",
    }


def _number(value: Any, unit: str = "", factor: float = 1.0) -> str:
    if value is None:
        return NONE
    value *= factor
    digits = 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"
