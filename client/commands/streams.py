"""Where results and messages go: files written whole or not at all, and standard error."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console

from client.errors import AsrError
from client.files import written_whole
from client.manifest import Entry
from client.transcriber import Item, Result, Transcriber

_WIDTH_OF_FILES = 160

messages = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


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
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDTH_OF_FILES)


def transcribe_entries(
    transcriber: Transcriber, entries: Iterable[Entry]
) -> Iterator[tuple[Entry, Result]]:
    """Each entry with its result, in order; reports failures."""
    begun: deque[Entry] = deque()  # ahead by the requests in flight, no more

    def items() -> Iterator[Item]:
        for entry in entries:
            begun.append(entry)
            yield entry.item

    for result in transcriber.transcribe(items()):
        entry = begun.popleft()
        if result.error is not None:
            report_failure(entry.name, result.error)
        yield entry, result


def report_failure(name: str, error: AsrError) -> None:
    """Say what became of a recording, by its name, which errors of reading already hold."""
    named = "" if name in str(error) else f"{name}: "
    messages.print(f"error: {named}{error}")
