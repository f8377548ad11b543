"""The tables of ``python -m benchmarks decode``, from its figures."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from benchmarks.decoders.comparison import Comparison
from benchmarks.decoders.pools import PoolFigures
from benchmarks.decoders.speech import SpeechFacts
from benchmarks.measurement import Speed
from benchmarks.report import Cells
from benchmarks.tables import rich_table, spread_cells


def facts_table(facts: SpeechFacts) -> Table:
    """What there is to decode."""
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
    return rich_table(Cells(("", ""), list(rows.items())), facts.name)


def decoder_table(comparison: Comparison, title: str) -> Table:
    """The decoders with the same settings, and at equal errors."""
    headings = "RTFx,quartiles,ratio,errors,WER,95 %,ms mean,p50,p95,p99".split(",")
    table = rich_table(Cells(("", *headings), ()), title)
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


def pool_table(pools: Iterable[PoolFigures]) -> Table:
    """Throughput by number of processes."""
    headings = ("", "processes", "RTFx", "quartiles", "scaling", "errors")
    rows = [
        (
            pool.name,
            str(pool.processes),
            *_speed(pool.speed),
            f"{pool.scaling:.2f}",
            str(pool.errors),
        )
        for pool in pools
    ]
    return rich_table(Cells(headings, rows), "Several processes")


def _speed(speed: Speed) -> Sequence[str]:
    return spread_cells(speed.rtfx, speed.rtfx_low, speed.rtfx_high, digits=0)
