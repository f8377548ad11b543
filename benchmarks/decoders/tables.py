"""The tables of ``python -m benchmarks decode``, from its figures."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from benchmarks.decoders.comparison import Figures
from benchmarks.decoders.facts import SpeechFacts
from benchmarks.decoders.memory import MemoryFigures
from benchmarks.decoders.pools import PoolFigures
from benchmarks.decoders.report import Comparison
from benchmarks.measurement import Speed

_MEGABYTE: Final = 1e6


def facts_table(facts: SpeechFacts) -> Table:
    """What there is to decode."""
    table = Table(title=facts.name, show_header=False)
    rows = {
        "utterances, words": f"{facts.utterances:,}, {facts.words:,}",
        "audio": f"{facts.audio_s:,.0f} s",
        "frames x tokens": f"{facts.frames:,} x {facts.tokens:,}",
        "best token is the blank": f"{facts.blank_share:.1%} of the frames",
        "blank alone after pruning": f"{facts.only_blank_share:.1%} of the frames",
        "candidates": f"{facts.candidates_per_frame:.2f} a frame",
        "greedy word errors": f"{facts.greedy_errors} ({facts.greedy_wer:.2%})",
        "language model's perplexity": f"{facts.perplexity:.0f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def decoder_table(comparison: Comparison, title: str) -> Table:
    """The decoders with the same settings, and at equal errors."""
    table = _table(
        title,
        "RTFx",
        "quartiles",
        "ratio",
        "errors",
        "WER",
        "95 %",
        "ms mean",
        "p50",
        "p95",
        "p99",
    )
    groups = {
        "same settings": comparison.same_settings,
        "no more errors than ours": comparison.equal_errors,
    }
    for heading, figures in groups.items():
        if not figures:
            continue
        table.add_section()
        table.add_row(Text(heading, style="bold"))
        for each in figures:
            low, high = each.wer_interval
            table.add_row(
                each.name,
                *_speed(each.speed),
                f"{each.speed.ratio:.2f}",
                str(each.errors),
                f"{each.wer:.2%}",
                f"{low:.1%} - {high:.1%}",
                *(f"{time:.2f}" for time in (each.mean_ms, each.p50_ms, each.p95_ms, each.p99_ms)),
            )
    return table


def step_table(steps: Sequence[Figures]) -> Table:
    """Our decoder's variants: how many times the first takes each."""
    table = _table("Ours without one of its speed-ups", "RTFx", "quartiles", "takes", "errors")
    for step in steps:
        takes = step.speed.wall_median_s / steps[0].speed.wall_median_s
        table.add_row(step.name, *_speed(step.speed), f"x {takes:.2f}", str(step.errors))
    return table


def pool_table(pools: Sequence[PoolFigures]) -> Table:
    """Throughput by number of processes."""
    table = _table("Several processes", "processes", "RTFx", "quartiles", "scaling", "errors")
    for pool in pools:
        table.add_row(
            pool.name,
            str(pool.processes),
            *_speed(pool.speed),
            f"{pool.scaling:.2f}",
            str(pool.errors),
        )
    return table


def memory_table(memory: Iterable[MemoryFigures]) -> Table:
    """Resident memory after the warm-up and at the end."""
    table = _table("Resident memory", "utterances", "MB", "growth", "its processes MB", "growth")
    for each in memory:
        row = [
            f"{each.warm_up:,} → {each.utterances:,}",
            _megabytes(each.bytes_before, each.bytes_after),
            f"{each.growth:+.1%}",
        ]
        if each.children_growth is not None:
            row += [
                _megabytes(each.children_bytes_before, each.children_bytes_after),
                f"{each.children_growth:+.1%}",
            ]
        table.add_row(each.name, *row)
    return table


def _megabytes(before: int, after: int) -> str:
    return f"{before / _MEGABYTE:.1f} → {after / _MEGABYTE:.1f}"


def _speed(speed: Speed) -> tuple[str, str]:
    return f"{speed.rtfx:,.0f}", f"{speed.rtfx_low:,.0f} - {speed.rtfx_high:,.0f}"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
