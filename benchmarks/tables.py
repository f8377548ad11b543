"""Tables for a terminal."""

from collections.abc import Sequence

from rich.table import Table

from benchmarks.report import Cells


def rich_table(cells: Cells, title: str) -> Table:
    """The table with names to the left and numbers to the right."""
    table = Table(title=title)
    for number, heading in enumerate(cells.headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in cells.rows:
        table.add_row(*row)
    return table


def spread_cells(median: float, low: float, high: float, digits: int = 1) -> Sequence[str]:
    """Cells of a median and its quartiles."""
    return f"{median:,.{digits}f}", f"{low:,.{digits}f} - {high:,.{digits}f}"
