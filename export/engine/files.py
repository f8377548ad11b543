"""Atomic writes of files that another process may be reading."""

import os
from pathlib import Path


def partial_path(path: Path) -> Path:
    """Where the next content of ``path`` is written first, on the same file system."""
    return path.with_name(f".{path.name}.partial")


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` atomically: readers see the old content or the new, even after a crash."""
    write_partial(path, data)
    commit_partial(path)


def write_partial(path: Path, data: bytes) -> None:
    """Write the next content of ``path`` to disk, beside it."""
    path.parent.mkdir(exist_ok=True)
    with partial_path(path).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def commit_partial(path: Path) -> None:
    """Replace ``path`` by its next content."""
    partial_path(path).replace(path)
