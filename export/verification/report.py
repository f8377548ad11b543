"""Prints a verification: a summary, or a table of all utterances."""

import math
import sys
from collections.abc import Iterator

from rich.console import Console, JustifyMethod
from rich.table import Table

from export.verification.thresholds import THRESHOLDS
from export.verification.verify import Row, Verification

MAX_ROWS = 200
"""In longer tables only utterances with problems are listed."""
WIDTH_OF_FILES = 120
TEXT_WIDTH = 40


def print_table(verification: Verification, sample_rate_hz: int) -> None:
    """Print every utterance's differences, then all problems and the batches Triton formed."""
    console = _console()
    table = Table(title="Largest absolute differences", caption_justify="left")
    for heading in ("utterance", "seconds", "features", "log_probs", "batched", "Triton"):
        justify: JustifyMethod = "left" if heading == "utterance" else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    table.add_column("transcript", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    rows = verification.rows
    for row in rows:
        if len(rows) <= MAX_ROWS or row.problems:
            table.add_row(
                row.case.name,
                f"{len(row.case.audio) / sample_rate_hz:.2f}",
                *_differences((row,)),
                row.text,
                style="red" if row.problems else None,
            )
    table.add_section()
    table.add_row(
        f"largest of {len(rows)}",
        f"{sum(len(row.case.audio) for row in rows) / sample_rate_hz:.2f}",
        *_differences(rows),
        f"{sum(row.text == row.nemo_text for row in rows)} of {len(rows)} equal",
    )
    allowed = THRESHOLDS[verification.precision]
    limits = (allowed.features, allowed.log_probs, allowed.batch, allowed.log_probs)
    table.add_row("allowed", "", *(map(_limit, limits)), "")
    console.print(table)
    print_summary(verification)


def print_summary(verification: Verification) -> None:
    """Print the figures over all utterances, and each problem on a line of its own."""
    console = _console()
    for line in _summary(verification):
        console.print(line, highlight=False)
    for row in verification.rows:
        for problem in row.problems:
            console.print(f"{row.case.name}: {problem}", style="red")
    for problem in verification.problems:
        console.print(problem, style="red")
    passed = "passed" if verification.passed else "failed"
    console.print(f"verification in {verification.precision}: {passed}", highlight=False)
    if verification.layer:
        console.print(f"look at: {verification.layer}", style="red")


def _summary(verification: Verification) -> Iterator[str]:
    rows = verification.rows
    names = ("features", "log_probs", "batched", "Triton")
    differences = zip(names, _differences(rows), strict=True)
    yield f"{len(rows)} utterances, largest differences: " + ", ".join(map(" ".join, differences))
    if rounding := [row.nemo_rounding for row in rows if row.nemo_rounding is not None]:
        yield (
            f"{len(rounding)} of them are compared with NeMo in float64, because NeMo's own fp32"
            f" differs from that by up to {max(rounding):.1e} (docs/decisions.md)"
        )
    yield f"{verification.token_agreement:.2%} of frames have NeMo's token"
    if (words := verification.word_errors) is not None:
        yield f"{words.exported} word errors in {words.words} words, NeMo makes {words.nemo}"
    for batch in verification.batches:
        mean = batch.utterances / max(batch.executions, 1)
        yield (
            f"{batch.model}: {batch.utterances} utterances in {batch.executions} executions,"
            f" mean batch {mean:.1f}"
        )


def _limit(limit: float) -> str:
    return f"{limit:.0e}" if math.isfinite(limit) else "not judged"


def _differences(rows: tuple[Row, ...]) -> list[str]:
    served = [row.triton for row in rows if row.triton is not None]
    return [
        f"{max(row.features for row in rows):.1e}",
        f"{max(row.log_probs for row in rows):.1e}",
        f"{max(row.batch for row in rows):.1e}",
        f"{max(served):.1e}" if served else "not run",
    ]


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, markup=False, emoji=False)
