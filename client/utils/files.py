"""Files that stand under their name complete, or not at all."""

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write the file; it gets its name when all went well, and is removed otherwise.

    A link stays, and what it leads to is written.
    """
    if is_stream(path):
        yield path
        return
    path = Path(os.path.realpath(path))
    # Not longer than the name itself, which may be as long as can be.
    name_hash = zlib.crc32(os.fsencode(path.name))
    part = path.with_name(f".{name_hash:08x}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Whether it is written to rather than replaced: a pipe, a device, ``/dev/stdout``."""
    if not path.is_file():
        return path.exists()
    folder = Path(os.path.realpath(path.parent))
    return folder == Path("/dev") or folder.is_relative_to("/proc")


def check_folder(folder: Path) -> None:
    """Raise ``OutputError`` when no file can be made in the folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(
            f"{folder}: no file can be written there: {error.strerror}: choose another folder, or "
            "let this user write to it"
        ) from error
