"""Where results and messages go: files written whole or not at all, and standard error."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from ..errors import AsrError
from ..manifests.manifest import Entry
from ..pipeline import Item
from ..result import Result
from ..transcriber import Transcriber
from ..utils.files import written_whole
from ..utils.shortened import shortened
from .flags import FLAGS

_WIDTH_OF_FILES = 160

messages = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when all went well."""
    if path is None:
        sys.stdout.write("")  # raises where it is closed, before there is anything to lose
        yield sys.stdout
    else:
        with (
            written_whole(path) as part,
            part.open("w", encoding="utf-8", errors="replace") as stream,
        ):
            yield stream


def tables(stream: TextIO) -> Console:
    """A console that prints tables to ``stream``, without cutting them in files and pipes."""
    width = None if stream.isatty() else _WIDTH_OF_FILES
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def print_facts(facts: Iterable[tuple[str, str]], stream: TextIO) -> None:
    """Names and what they are, as a table."""
    table = Table(show_header=False)
    for name, fact in facts:
        table.add_row(name, fact)
    tables(stream).print(table)


def transcribe_entries(
    transcriber: Transcriber, entries: Iterable[Entry]
) -> Iterator[tuple[Entry, Result]]:
    """Each entry with its result, in order; reports failures and warnings."""
    begun: deque[Entry] = deque()  # ahead by the requests in flight, no more

    def items() -> Iterator[Item]:
        for entry in entries:
            begun.append(entry)
            yield entry.item

    for result in transcriber.transcribe(items()):
        entry = begun.popleft()
        report(entry.name, result)
        yield entry, result


def warn(said: str) -> None:
    """Print a warning on standard error."""
    messages.print(f"warning: {said}")


def report(name: str, result: Result) -> None:
    """Say what is wrong with a recording, and what became of it where it failed."""
    for warning in result.warnings:
        _report("warning", name, warning)
    if result.error is not None:
        report_failure(name, result.error)


def report_failure(name: str, error: AsrError) -> None:
    """Say what became of a recording."""
    _report("error", name, error.text(FLAGS))


def _report(kind: str, name: str, said: str) -> None:
    """Say it of the recording, by its name, which what reading says already holds."""
    short = shortened(name)
    messages.print(f"{kind}: {said}" if short in said else f"{kind}: {short}: {said}")
