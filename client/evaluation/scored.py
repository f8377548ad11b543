"""Texts that exist, of any recogniser: a JSON Lines file, matched with the manifest's entries.

Lines are matched by ``audio_filepath`` and ``offset``, as written; those of the same piece in
their order. Where either file names no recordings, lines are matched by order alone.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..audio import Warn
from ..errors import ManifestError
from ..manifests.manifest import Entry, audio_of, read_manifest
from ..utils.shortened import shortened
from .result import Scored

_Key: TypeAlias = tuple[str, str]


def scored_texts(
    scored: Scored, entries: Sequence[Entry], warn: Warn
) -> Mapping[int, str | ManifestError]:
    """The text of each entry, or why there is none, by the entry's line.

    Raises ``ManifestError`` when the file cannot be read, no line has the field, or no line or,
    without names of recordings, not every line belongs to an entry.
    """
    lines = list(read_manifest(Path(scored.path)))
    if not any(scored.field in line.fields for line in lines):
        names = ", ".join(dict.fromkeys(name for line in lines for name in line.fields))
        raise ManifestError(
            f"{scored.path}: no line has the field {scored.field!r}, expected the recognised text"
            f" in it; there are {names or 'none'}"
        )
    if _unnamed(lines) or _unnamed(entries):
        if len(lines) != len(entries):
            raise ManifestError(
                f"{scored.path}: has {len(lines)} lines for {len(entries)} entries of the manifest,"
                " expected as many, or audio_filepath in both to match them by"
            )
        matched: list[Entry | None] = [*lines]
    else:
        matched = _matched(scored, entries, lines, warn)
    return {
        entry.line: _text(scored, entry, line) for entry, line in zip(entries, matched, strict=True)
    }


def _unnamed(entries: Sequence[Entry]) -> bool:
    return all(audio_of(entry.fields) is None for entry in entries)


def _matched(
    scored: Scored, entries: Sequence[Entry], lines: Sequence[Entry], warn: Warn
) -> list[Entry | None]:
    """Each entry's line."""
    by_key: dict[_Key, deque[Entry]] = defaultdict(deque)
    for line in lines:
        by_key[_key(line.fields)].append(line)
    queues = [by_key[_key(entry.fields)] for entry in entries]
    matched = [queue.popleft() if queue else None for queue in queues]
    found = sum(line is not None for line in matched)
    if not found:
        raise ManifestError(
            f"{scored.path}: no line matches an entry of the manifest, expected the same "
            f"audio_filepath and offset: {shortened(str(audio_of(lines[0].fields)))} is not in it"
        )
    if found < len(lines):
        unmatched = len(lines) - found
        match = "line matches" if unmatched == 1 else "lines match"
        warn(f"{scored.path}: {unmatched} {match} no entry of the manifest")
    return matched


def _key(fields: Mapping[str, Any]) -> _Key:
    offset = fields.get("offset") or 0
    return str(audio_of(fields)), str(float(offset) if isinstance(offset, (int, float)) else offset)


def _text(scored: Scored, entry: Entry, line: Entry | None) -> str | ManifestError:
    if line is None:
        return ManifestError(f"{scored.path} has no line for {shortened(entry.name)}")
    text = line.fields.get(scored.field)
    if isinstance(text, str):
        return text
    failed = f" ({line.fields['error']})" if "error" in line.fields else ""
    return ManifestError(
        f"{scored.path} line {line.line}: {scored.field} is {shortened(repr(text))}, expected "
        f"the recognised text{failed}"
    )
