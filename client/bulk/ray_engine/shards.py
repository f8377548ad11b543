"""Parts of a manifest, and their results.

A part is found by its place in the file without reading what is before. Its results file is beside
the job's own: ``OUT.shards/00000.jsonl`` and so on.
"""

import fcntl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...manifests.manifest import Entry, parse_entry
from ..results import Results, beside

_PATIENCE_S: Final = 60.0
_INTERVAL_S: Final = 0.1
_STARTS: Final = ".starts"


@dataclass(frozen=True)
class LineRange:
    """Lines that follow each other; the first of them begins at ``offset_bytes``."""

    first: int
    offset_bytes: int
    count: int


@dataclass(frozen=True)
class Shard:
    """What one worker transcribes at once: some lines of the manifest, in their order."""

    index: int
    ranges: tuple[LineRange, ...]


def cut_into_shards(
    manifest: Path, lines: Iterable[int], most_entries: int, most_bytes: int
) -> Iterator[Shard]:
    """Divide ``lines`` of the manifest, numbers from 1 in ascending order, in one pass.

    A shard has at most ``most_entries`` lines, that lie within ``most_bytes`` where they are more
    than one.
    """
    index = 0
    ranges: list[LineRange] = []
    for line, offset, end in _located(manifest, lines):
        entries = sum(each.count for each in ranges)
        if ranges and (entries == most_entries or end - ranges[0].offset_bytes > most_bytes):
            yield Shard(index, tuple(ranges))
            index += 1
            ranges = []
        last = ranges[-1] if ranges else None
        if last is not None and last.first + last.count == line:
            ranges[-1] = LineRange(last.first, last.offset_bytes, last.count + 1)
        else:
            ranges.append(LineRange(line, offset, 1))
    if ranges:
        yield Shard(index, tuple(ranges))


def entries_of(manifest: Path, shard: Shard) -> Iterator[Entry]:
    """The shard's entries, read as they are asked for. Raises ``OSError``."""
    with manifest.open("rb") as stream:
        for each in shard.ranges:
            stream.seek(each.offset_bytes)
            for line in range(each.first, each.first + each.count):
                yield parse_entry(manifest, line, stream.readline())


def _located(manifest: Path, lines: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Each line with where it begins and ends, in bytes."""
    with manifest.open("rb") as stream:
        at, begin, end = 0, 0, 0
        for line in lines:
            while at < line:
                begin, end = end, end + len(stream.readline())
                at += 1
            yield line, begin, end


def folder_of(output: Path) -> Path:
    """The folder of a job's shards."""
    return beside(output, "shards")


def path_of(output: Path, index: int) -> Path:
    """The results file of a shard."""
    return folder_of(output) / f"{index:05}.jsonl"


def left_over(output: Path) -> list[Path]:
    """The results files of an earlier job's shards."""
    files = folder_of(output).glob("*.jsonl")
    return sorted(path for path in files if path.stem.isdecimal())  # not 00000.errors.jsonl


def open_shard(path: Path, settings: Mapping[str, Any]) -> Results:
    """A shard's results, new or resumed; raises as ``Results`` does.

    Waits for the workers of a killed job, which Ray ends only after a moment.
    """
    with path.open("ab") as stream:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not _is_free(stream.fileno()) and time.monotonic() < deadline_s:
            time.sleep(_INTERVAL_S)
    return Results(path, settings, resume=True)


def count_start(path: Path, line: int) -> int:
    """Note that a worker starts a shard at that line; returns how many have, with this one."""
    with path.with_suffix(_STARTS).open("a+", encoding="ascii") as starts:
        starts.write(f"{line}\n")
        starts.seek(0)
        return sum(int(each) == line for each in starts)


def remove(results: Results) -> None:
    """Remove the files of a shard that is merged into the job's results."""
    starts = results.path.with_suffix(_STARTS)
    for path in (results.path, results.failures_path, results.settings_path, starts):
        path.unlink(missing_ok=True)


def _is_free(descriptor: int) -> bool:
    """Whether no other process writes the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
