"""The reports of a sweep beside its JSON: a table in Markdown, a plot, and a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.load.page import page
from benchmarks.load.plot import plot
from benchmarks.load.summary import summarise
from benchmarks.load.table import columns, markdown
from benchmarks.load.words import about
from client.utils.files import written_whole


def write_reports(document: Mapping[str, Any], output: Path) -> None:
    """Write ``output`` with the suffixes ``.md``, ``.png`` and ``.html``.

    Raises :class:`ProviderError` without matplotlib, when the other two are written.
    """
    summaries = summarise(document["points"])
    table = markdown(columns(summaries))
    _write(output.with_suffix(".md"), f"{table}\n{' '.join(about(document))}\n")
    _write(output.with_suffix(".html"), page(document))
    plot(summaries, document["settings"]["model"], output.with_suffix(".png"))


def _write(path: Path, text: str) -> None:
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")
