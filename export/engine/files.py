"""Files that another process may be reading: whole or not at all."""

import os
from pathlib import Path


def partial_path(path: Path) -> Path:
    """Where the next content of ``path`` is put together, on the same file system."""
    return path.with_name(f".{path.name}.partial")


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` so that a reader sees the old content or the new, even after a crash."""
    write_partial(path, data)
    commit_partial(path)


def write_partial(path: Path, data: bytes) -> None:
    """Put the next content of ``path`` on the disk, where no reader looks."""
    path.parent.mkdir(exist_ok=True)
    with partial_path(path).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def commit_partial(path: Path) -> None:
    """Let the next content of ``path`` take its place."""
    partial_path(path).replace(path)
