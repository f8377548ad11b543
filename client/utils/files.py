"""Files that appear under their name complete, or not at all."""

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to; renamed to ``path`` on success, removed otherwise.

    A link is kept, and its target is replaced.
    """
    if is_stream(path):
        yield path
        return
    path = Path(os.path.realpath(path))
    # Not longer than the name itself, which may be as long as the file system allows.
    name_hash = zlib.crc32(os.fsencode(path.name))
    part = path.with_name(f".{name_hash:08x}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Whether to write to it rather than replace it: a pipe, a device, ``/dev/stdout``."""
    if not path.is_file():
        return path.exists()
    folder = Path(os.path.realpath(path.parent))
    return folder == Path("/dev") or folder.is_relative_to("/proc")


def check_folder(folder: Path) -> None:
    """Raise ``OutputError`` when no file can be made in the folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError.of(
            folder,
            f"no file can be written there: {error.strerror}: choose another folder, or "
            "give this user write access",
        ) from error
