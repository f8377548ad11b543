"""Verification's table in the terminal."""

from rich.console import Console
from rich.table import Table

from export.verification.outputs import BATCH_TOLERANCE, FEATURES_TOLERANCE, LOG_PROBS_TOLERANCE
from export.verification.verify import Verification

TEXT_WIDTH = 32


def print_verification(verification: Verification, sample_rate_hz: int, console: Console) -> None:
    """Print every case's differences, then all problems, then the batches Triton formed."""
    table = Table(title="Largest absolute differences", caption_justify="left")
    for heading in ("utterance", "seconds", "features", "log_probs", "batched", "Triton"):
        table.add_column(heading, justify="left" if heading == "utterance" else "right")
    table.add_column("transcript")
    for row in verification.rows:
        differences = (row.features, row.log_probs, row.batch, row.triton)
        table.add_row(
            row.case,
            f"{row.samples / sample_rate_hz:.2f}",
            *(f"{difference:.1e}" for difference in differences),
            row.text[:TEXT_WIDTH],
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
    for problem in verification.declaration_problems:
        console.print(f"[red]{problem}[/red]")
    for row in rows:
        for problem in row.problems:
            console.print(f"[red]{row.case}[/red]: {problem}", highlight=False)
    for batch in verification.batches:
        mean = batch.utterances / max(batch.executions, 1)
        console.print(
            f"{batch.model}: {batch.utterances} utterances in {batch.executions} executions,"
            f" mean batch {mean:.1f}",
            highlight=False,
        )
