"""Manifests as NeMo reads them: JSON Lines, one recording or piece of a recording a line.

``audio_filepath`` (or ``audio_filename``) is relative to the manifest's folder, or else to the
current one, and may begin with ``~``. ``offset`` and ``duration`` (seconds) choose a piece, to the
end without a duration. ``text`` is the reference, or ``text_filepath`` or ``normalized_text``.
Other fields are carried along untouched. A bad line is one failed entry: the others go on.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ..audio import Clip
from ..errors import ManifestError
from ..utils.shortened import shortened
from .kinds import check_json_lines

AUDIO_FIELDS: Final = ("audio_filepath", "audio_filename")
_HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class Entry:
    """One line: its fields as they stand, and what to transcribe or why not.

    ``line`` counts from 1; ``fields`` is empty when the line is no JSON object; ``folder`` is the
    manifest's.
    """

    line: int
    fields: Mapping[str, Any]
    item: Clip | ManifestError
    folder: Path = field(default=Path(), compare=False)

    @property
    def name(self) -> str:
        """What to call the entry in messages."""
        return str(audio_of(self.fields) or f"line {self.line}")

    def text(self) -> str | None:
        """The reference, ``None`` where there is none.

        Raises ``ManifestError`` when it is in a file that cannot be read.
        """
        file = self.fields.get("text_filepath")
        if "text" not in self.fields and isinstance(file, str):
            return _read_text(_located(self.folder, file))
        text = self.fields.get("text", self.fields.get("normalized_text"))
        return text if isinstance(text, str) else None


def audio_of(fields: Mapping[str, Any]) -> Any:
    """What a line calls its recording; ``None`` where it does not."""
    return next((fields[name] for name in AUDIO_FIELDS if name in fields), None)


def read_manifest(path: Path) -> Iterator[Entry]:
    """The manifest's entries, read as they are asked for; blank lines are skipped.

    Raises ``ManifestError`` when the file cannot be opened or read, or is something else than
    JSON Lines.
    """
    for number, line in _lines(path):
        yield parse_entry(path, number, line)


def parse_entry(path: Path, number: int, line: bytes) -> Entry:
    """One line of the manifest at ``path``; what is wrong with it is in the entry."""
    fields: Mapping[str, Any] = {}
    try:
        fields = _parse(line)
        return Entry(number, fields, _clip(path.parent, fields), path.parent)
    except ManifestError as error:
        problem = ManifestError(f"{path} line {number}: {error}")
        return Entry(number, fields, problem, path.parent)


def with_text(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries with their reference as ``text``; those without one have failed."""
    for entry in entries:
        yield entry if isinstance(entry.item, ManifestError) else _with_text(entry)


def _with_text(entry: Entry) -> Entry:
    try:
        text = entry.text()
    except ManifestError as error:
        return replace(entry, item=ManifestError(f"line {entry.line} {error}"))
    if text is None:
        problem = f"line {entry.line} lacks text, the reference to compare with"
        return replace(entry, item=ManifestError(problem))
    return replace(entry, fields={**entry.fields, "text": text})


@dataclass(frozen=True)
class Size:
    """How much there is to do: entries, and seconds of audio where every entry tells."""

    entries: int
    audio_s: float | None = None


def survey(path: Path) -> Size | None:
    """How much ``read_manifest`` will give; raises as it does.

    ``None`` for a pipe or terminal, which can be read only once.
    """
    if path.is_fifo() or path.is_char_device():
        return None
    entries, audio_s = 0, 0.0
    for _, line in _lines(path):
        entries += 1
        try:
            audio_s += _duration_s(_parse(line))
        except ManifestError:
            audio_s = math.nan
    return Size(entries, audio_s if math.isfinite(audio_s) else None)


def duration_of(entry: Entry) -> float:
    """Seconds of audio that the manifest says; NaN where it does not."""
    return _duration_s(entry.fields)


def _duration_s(fields: Mapping[str, Any]) -> float:
    seconds = _number(fields.get("duration"))
    return math.nan if seconds is None else seconds


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    try:
        with path.open("rb", _HEAD_BYTES) as lines:
            check_json_lines(path, lines.peek(_HEAD_BYTES))  # type: ignore[attr-defined]
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot read the manifest: {error.strerror}, expected a JSON Lines file"
        ) from error


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is not JSON in UTF-8 ({error}): one object a line") from error
    if not isinstance(fields, dict):
        raise ManifestError(f"is a JSON {type(fields).__name__}, expected an object")
    return fields


def _clip(folder: Path, fields: Mapping[str, Any]) -> Clip:
    audio = audio_of(fields)
    if not isinstance(audio, str) or not audio:
        raise ManifestError(
            f"audio_filepath is {shortened(repr(audio))}, expected the path of an audio file"
        )
    if not isinstance(fields.get("text", ""), str | None):
        raise ManifestError(f"text is {shortened(repr(fields['text']))}, expected a string")
    path = _located(folder, audio)
    if fields.get("offset") is None:
        return Clip(path)
    offset_s = _seconds(fields, "offset")
    if fields.get("duration") is None:
        return Clip(path, offset_s)
    return Clip(path, offset_s, _seconds(fields, "duration") or None)


def _located(folder: Path, name: str) -> Path:
    """The file of that name as NeMo finds it: beside the manifest, or else where ``name`` says."""
    beside = folder / name
    # Unlike Path's, these do not raise where a name cannot be a path or nobody is at home.
    if os.path.isabs(name) or os.path.isfile(beside):  # noqa: PTH113, PTH117
        return beside
    elsewhere = os.path.expanduser(name)  # noqa: PTH111
    return Path(elsewhere) if elsewhere != name or os.path.isfile(name) else beside  # noqa: PTH113


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\n", "")  # as NeMo joins its lines
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError(
            f"has its text in {path}, which cannot be read ({reason}): expected UTF-8 text"
        ) from error


def _seconds(fields: Mapping[str, Any], name: str) -> float:
    value = _number(fields[name])
    if value is None:
        raise ManifestError(f"{name} is {shortened(repr(fields[name]))}, expected seconds")
    if not (math.isfinite(value) and value >= 0):
        raise ManifestError(f"{name} is {value}, expected seconds, at least 0")
    return value


def _number(value: object) -> float | None:
    """A JSON number, infinite where it is too large; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
