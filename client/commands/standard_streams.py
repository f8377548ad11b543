"""Standard input, output and error as the commands need them, whatever the caller has given.

Results are UTF-8 in any locale, with a ``?`` for what it cannot hold. A stream that the caller has
closed says so when it is used, and no file that is opened gets its descriptor.
"""

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ..errors import OutputError


class _ClosedStream(io.TextIOBase):
    """Standard output that the caller has closed."""

    def write(self, _: str) -> NoReturn:
        raise OutputError(
            "standard output is closed: name a file with --output, or redirect it (> FILE)"
        )


def prepare() -> None:
    """Make the streams fit for results and messages."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free is this one
    sys.stdout = sys.stdout or _ClosedStream()
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Drop what standard output does not take, about which Python would complain at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
