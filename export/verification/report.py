"""Verification's table in the terminal."""

import sys

from rich.console import Console, JustifyMethod
from rich.table import Table

from export.verification.outputs import BATCH_TOLERANCE, FEATURES_TOLERANCE, LOG_PROBS_TOLERANCE
from export.verification.verify import Verification

MAX_ROWS = 200
"""Beyond, only utterances with problems are listed one by one."""
WIDTH_OF_FILES = 120
TEXT_WIDTH = 40


def print_verification(verification: Verification, sample_rate_hz: int) -> None:
    """Print the differences, then all problems, then the batches Triton formed."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    table = Table(title="Largest absolute differences", caption_justify="left")
    for heading in ("utterance", "seconds", "features", "log_probs", "batched", "Triton"):
        justify: JustifyMethod = "left" if heading == "utterance" else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    table.add_column("transcript", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    listed = len(verification.rows) <= MAX_ROWS
    for row in verification.rows:
        if not (listed or row.problems):
            continue
        differences = (row.features, row.log_probs, row.batch, row.triton)
        table.add_row(
            row.case,
            f"{row.samples / sample_rate_hz:.2f}",
            *(f"{difference:.1e}" for difference in differences),
            row.text,
            style="red" if row.problems else None,
        )
    rows = verification.rows
    table.add_section()
    table.add_row(
        f"largest of {len(rows)}",
        f"{sum(row.samples for row in rows) / sample_rate_hz:.2f}",
        f"{max(row.features for row in rows):.1e}",
        f"{max(row.log_probs for row in rows):.1e}",
        f"{max(row.batch for row in rows):.1e}",
        f"{max(row.triton for row in rows):.1e}",
        f"{sum(not row.problems for row in rows)} of {len(rows)} equal",
    )
    table.add_row(
        "allowed", "", f"{FEATURES_TOLERANCE:.0e}", f"{LOG_PROBS_TOLERANCE:.0e}",
        f"{BATCH_TOLERANCE:.0e}", f"{LOG_PROBS_TOLERANCE:.0e}", "the checkpoint's own",
    )  # fmt: skip
    console.print(table)
    for row in rows:
        for problem in row.problems:
            console.print(f"{row.case}: {problem}", style="red", markup=False)
    if not verification.batched:
        console.print("Triton formed no batch: its batching was not verified", style="red")
    for batch in verification.batches:
        mean = batch.utterances / max(batch.executions, 1)
        console.print(
            f"{batch.model}: {batch.utterances} utterances in {batch.executions} executions,"
            f" mean batch {mean:.1f}",
            highlight=False,
        )
