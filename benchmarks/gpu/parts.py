"""A folder as numbered files of a bounded size, and back, with nothing but Python.

::

    python3 parts.py join PARTS FOLDER      # needs no project: the file may be copied alone

What flows through: folder → one gzipped tar → ``part-000``, ``part-001``, …, and ``parts.json``
with the SHA-256 of each and of the whole. Joining checks them all before it unpacks anything.
"""

import argparse
import hashlib
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

INDEX = "parts.json"
CHUNK_BYTES = 1 << 20
COMPRESSION = 6  # zeros and JSON shrink well, wheels do not shrink at any level


class PartsError(Exception):
    """Parts are missing or damaged."""


def split(folder: Path, destination: Path, limit_bytes: int) -> list[Path]:
    """Write ``folder`` as parts of at most ``limit_bytes`` into ``destination``; their paths."""
    destination.mkdir(parents=True, exist_ok=True)
    for old in destination.glob("part-*"):
        old.unlink()
    with tempfile.TemporaryFile(dir=destination) as archive:
        with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=COMPRESSION) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name)
        archive.seek(0)
        parts = [
            _write_part(archive, destination / f"part-{number:03d}", limit_bytes)
            for number in range(-(-_size(archive) // limit_bytes))
        ]
        archive.seek(0)
        whole = _sha256(archive)
    names = {part.name: sha256 for part, sha256 in parts}
    index = {"sha256": whole, "parts": names}
    (destination / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return [part for part, _ in parts]


def join(parts: Path, folder: Path) -> None:
    """Unpack the parts in the folder ``parts`` into ``folder``.

    Raises :class:`PartsError` naming every part that is missing or damaged.
    """
    index = _index(parts)
    problems = list(_problems(parts, index["parts"]))
    if problems:
        raise PartsError(
            f"the bundle in {parts} is not whole: {'; '.join(problems)}: copy it again"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as archive:
        for name in index["parts"]:
            archive.write((parts / name).read_bytes())
        archive.seek(0)
        if _sha256(archive) != index["sha256"]:
            raise PartsError(f"the parts in {parts} are not those of one bundle: copy them again")
        archive.seek(0)
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            # Not as an argument: Debian 12's Python 3.11.2 has none.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)  # noqa: S202  # the filter is above


def _index(parts: Path) -> Any:
    path = parts / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if not index["sha256"] or not index["parts"]:
            raise PartsError(f"{path} lists no parts: make the bundle again")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PartsError(f"expected a bundle's {INDEX} in {parts}: {error}") from error
    return index


def _problems(parts: Path, expected: dict[str, str]) -> Iterator[str]:
    for name, sha256 in expected.items():
        try:
            with (parts / name).open("rb") as file:
                if _sha256(file) != sha256:
                    yield f"{name} is damaged"
        except OSError:
            yield f"{name} is missing"


def _write_part(archive: Any, path: Path, limit_bytes: int) -> tuple[Path, str]:
    data = archive.read(limit_bytes)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def _size(file: Any) -> int:
    position = file.tell()
    size = int(file.seek(0, 2))
    file.seek(position)
    return size


def _sha256(file: BinaryIO | Any) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def main() -> int:
    """Join the parts named on the command line."""
    parser = argparse.ArgumentParser(description="Join the parts of a bundle and unpack it.")
    parser.add_argument("command", choices=("join",))
    parser.add_argument("parts", type=Path, help=f"the folder that holds {INDEX} and the parts")
    parser.add_argument("folder", type=Path, help="where the bundle goes")
    chosen = parser.parse_args()
    try:
        join(chosen.parts, chosen.folder)
    except (PartsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
