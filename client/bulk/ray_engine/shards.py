"""Parts of a manifest, each found by its place in the file without reading what is before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...manifests.manifest import Entry, parse_entry


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
