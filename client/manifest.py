"""Manifests as NeMo writes them: JSON Lines, one recording or piece of a recording a line.

``audio_filepath`` is relative to the manifest's folder; ``offset`` and ``duration`` (seconds)
choose a piece; ``text`` is the reference. Other fields are carried along untouched. A bad line is
one failed entry: the others go on.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client.audio import Clip
from client.errors import ManifestError


@dataclass(frozen=True)
class Entry:
    """One line: its fields as they stand, and what to transcribe or why not.

    ``line`` counts from 1; ``fields`` is empty when the line is no JSON object.
    """

    line: int
    fields: Mapping[str, Any]
    item: Clip | ManifestError

    @property
    def name(self) -> str:
        """What to call the entry in messages."""
        return str(self.fields.get("audio_filepath", f"line {self.line}"))


def read_manifest(path: Path) -> Iterator[Entry]:
    """The manifest's entries, read as they are asked for; blank lines are skipped.

    Raises :class:`ManifestError` when the file cannot be opened or read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield parse_entry(path, number, line)
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot read the manifest: {error.strerror}, expected a JSON Lines file"
        ) from error


def parse_entry(path: Path, number: int, line: bytes) -> Entry:
    """One line of the manifest at ``path``; what is wrong with it is in the entry."""
    fields: Mapping[str, Any] = {}
    try:
        fields = _parse(line)
        return Entry(number, fields, _clip(path.parent, fields))
    except ManifestError as error:
        return Entry(number, fields, ManifestError(f"{path} line {number}: {error}"))


def with_text(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, those without ``text`` failed: there is no reference to compare with."""
    for entry in entries:
        if isinstance(entry.item, ManifestError) or "text" in entry.fields:
            yield entry
        else:
            problem = f"line {entry.line} lacks text, the reference to compare with"
            yield replace(entry, item=ManifestError(problem))


@dataclass(frozen=True)
class Size:
    """How much there is to do: entries, and seconds of audio where every entry tells."""

    entries: int
    audio_s: float | None = None


def survey(path: Path) -> Size | None:
    """How much :func:`read_manifest` will give; raises as it does.

    ``None`` for a pipe or terminal, which can be read only once.
    """
    if path.is_fifo() or path.is_char_device():
        return None
    entries, audio_s = 0, 0.0
    for entry in read_manifest(path):
        entries += 1
        audio_s += duration_of(entry)
    return Size(entries, audio_s if math.isfinite(audio_s) else None)


def duration_of(entry: Entry) -> float:
    """Seconds of audio that the manifest says; NaN where it does not."""
    duration = entry.fields.get("duration")
    known = isinstance(duration, (int, float)) and not isinstance(duration, bool)
    return float(duration) if known else math.nan  # type: ignore[arg-type]


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is not JSON in UTF-8 ({error}): one object a line") from error
    if not isinstance(fields, dict):
        raise ManifestError(f"is a JSON {type(fields).__name__}, expected an object")
    return fields


def _clip(folder: Path, fields: Mapping[str, Any]) -> Clip:
    audio = fields.get("audio_filepath")
    if not isinstance(audio, str) or not audio:
        raise ManifestError(f"audio_filepath is {audio!r}, expected the path of an audio file")
    if not isinstance(fields.get("text", ""), str):
        raise ManifestError(f"text is {fields['text']!r}, expected a string")
    if fields.get("offset") is None:
        return Clip(folder / audio)
    offset_s = _seconds(fields, "offset")
    duration_s = _seconds(fields, "duration")
    if duration_s == 0:
        raise ManifestError("duration is 0, expected more with an offset")
    return Clip(folder / audio, offset_s, duration_s)


def _seconds(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ManifestError(f"{name} is {value!r}, expected seconds: a piece needs both")
    if not (math.isfinite(value) and value >= 0):
        raise ManifestError(f"{name} is {value}, expected seconds, at least 0")
    return float(value)
