"""Manifests as NeMo reads them: JSON Lines, one recording or piece of a recording a line.

``audio_filepath`` (or ``audio_filename``) is relative to the manifest's folder, or else to the
current one, and may begin with ``~``. ``offset`` and ``duration`` (seconds) select a piece,
to the end without a duration. ``text`` is the reference, or ``text_filepath`` or
``normalized_text``. Other fields are passed through unchanged. A bad line is one failed entry; a
file that is no manifest at all is one error.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from ..audio import Clip
from ..errors import ManifestError
from ..utils.shortened import shortened

AUDIO_FIELDS: Final = ("audio_filepath", "audio_filename")
HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class Entry:
    """One line: its fields unchanged, and the clip to transcribe or the line's error.

    ``line`` counts from 1; ``fields`` is empty when the line is no JSON object; ``folder`` is the
    manifest's.
    """

    line: int
    fields: Mapping[str, Any]
    item: Clip | ManifestError
    folder: Path = field(default=Path(), compare=False)

    @property
    def name(self) -> str:
        """The entry's name in messages."""
        return str(audio_of(self.fields) or f"line {self.line}")

    def text(self) -> str | None:
        """The reference, ``None`` where there is none.

        Raises ``ManifestError`` when it is in a file that cannot be read.
        """
        file = self.fields.get("text_filepath")
        if "text" not in self.fields and isinstance(file, str):
            return _read_text(located(self.folder, file))
        text = self.fields.get("text", self.fields.get("normalized_text"))
        return text if isinstance(text, str) else None


def audio_of(fields: Mapping[str, Any]) -> Any:
    """The recording that a line names; ``None`` if it names none."""
    return next((fields[name] for name in AUDIO_FIELDS if name in fields), None)


def read_manifest(path: Path) -> Iterator[Entry]:
    """The manifest's entries, read lazily; blank lines are skipped.

    Raises ``ManifestError`` when the file cannot be read or is not JSON Lines.
    """
    for number, line in _lines(path):
        yield parse_entry(path, number, line)


def read_entries(lines: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """Entries of what a manifest's lines would hold; paths are relative to the current folder."""
    for number, fields in enumerate(lines, start=1):
        try:
            yield Entry(number, fields, _clip(Path(), fields))
        except ManifestError as error:
            yield Entry(number, fields, ManifestError(f"entry {number}: {error}"))


Manifest: TypeAlias = Path | str | Iterable[Mapping[str, Any]]
"""A JSON Lines file, or what its lines would hold."""


def entries_of(manifest: Manifest) -> Iterator[Entry]:
    """The entries, as ``read_manifest`` and ``read_entries`` give them."""
    if isinstance(manifest, (str, Path)):
        return read_manifest(Path(manifest))
    return read_entries(manifest)


def path_of(manifest: Manifest) -> Path:
    """The path of the file, or what stands for it in messages and records."""
    return Path(manifest) if isinstance(manifest, (str, Path)) else Path("the given entries")


def parse_entry(path: Path, number: int, line: bytes) -> Entry:
    """One line of the manifest at ``path``; its error, if any, is in the entry."""
    fields: Mapping[str, Any] = {}
    try:
        fields = parse_object(line)
        return Entry(number, fields, _clip(path.parent, fields), path.parent)
    except ManifestError as error:
        message = f"{path} line {number}: {error.message}"
        problem = error.amended(message=message, path=path, line=number)
        return Entry(number, fields, problem, path.parent)


def with_text(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries with their reference as ``text``; without one an entry fails."""
    for entry in entries:
        yield entry if isinstance(entry.item, ManifestError) else _with_text(entry)


def _with_text(entry: Entry) -> Entry:
    try:
        text = entry.text()
    except ManifestError as error:
        message = f"line {entry.line} {error.message}"
        return replace(entry, item=error.amended(message=message, line=entry.line))
    if text is None:
        message = f"line {entry.line} lacks text, the reference to compare with"
        return replace(entry, item=ManifestError(message, line=entry.line))
    return replace(entry, fields={**entry.fields, "text": text})


@dataclass(frozen=True)
class Size:
    """The size of a manifest: entries, and seconds of audio if every entry has a duration."""

    entries: int
    audio_s: float | None = None


def survey(path: Path) -> Size | None:
    """The size of what ``read_manifest`` yields; raises as it does.

    ``None`` for a pipe or terminal, which can be read only once.
    """
    if path.is_fifo() or path.is_char_device():
        return None
    entries, audio_s = 0, 0.0
    for _, line in _lines(path):
        entries += 1
        try:
            audio_s += _duration_s(parse_object(line))
        except ManifestError:
            audio_s = math.nan
    return Size(entries, audio_s if math.isfinite(audio_s) else None)


def duration_of(entry: Entry) -> float:
    """The entry's ``duration`` in seconds; NaN without one."""
    return _duration_s(entry.fields)


def _duration_s(fields: Mapping[str, Any]) -> float:
    seconds = _number(fields.get("duration"))
    return math.nan if seconds is None else seconds


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    try:
        with path.open("rb", HEAD_BYTES) as lines:
            check_json_lines(path, lines.peek(HEAD_BYTES))  # type: ignore[attr-defined]
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ManifestError.of(
            path, f"cannot read the manifest: {error.strerror}, expected a JSON Lines file"
        ) from error


def parse_object(line: bytes) -> Mapping[str, Any]:
    """The JSON object on a line; raises ``ManifestError``, without a place, for anything else."""
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is not JSON in UTF-8 ({error}): one object a line") from error
    check_object(fields)
    return cast("Mapping[str, Any]", fields)


def check_object(value: object) -> None:
    """Raise ``ManifestError``, without a place, for what is no JSON object."""
    if not isinstance(value, dict):
        raise ManifestError(f"is a JSON {type(value).__name__}, expected an object")


def _clip(folder: Path, fields: Mapping[str, Any]) -> Clip:
    audio = audio_of(fields)
    if not isinstance(audio, str) or not audio:
        raise ManifestError(
            f"audio_filepath is {shortened(repr(audio))}, expected the path of an audio file"
        )
    if not isinstance(fields.get("text", ""), str | None):
        raise ManifestError(f"text is {shortened(repr(fields['text']))}, expected a string")
    path = located(folder, audio)
    if fields.get("offset") is None:
        return Clip(path)
    offset_s = seconds_of(fields, "offset")
    if fields.get("duration") is None:
        return Clip(path, offset_s)
    return Clip(path, offset_s, seconds_of(fields, "duration") or None)


def located(folder: Path, name: str) -> Path:
    """The file of that name where NeMo looks: beside the manifest, else at ``name`` itself."""
    beside = folder / name
    # Unlike Path's, these do not raise if a name cannot be a path.
    if os.path.isabs(name) or os.path.isfile(beside):  # noqa: PTH113, PTH117
        return beside
    elsewhere = _expanded(name)
    return Path(elsewhere) if elsewhere != name or os.path.isfile(name) else beside  # noqa: PTH113


def _expanded(name: str) -> str:
    try:
        return os.path.expanduser(name)  # noqa: PTH111 -- does not raise if there is no home folder
    except ValueError:  # no user has such a name
        return name


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\n", "")  # as NeMo joins its lines
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError(
            f"has its text in {path}, which cannot be read ({reason}): expected UTF-8 text",
            path=path,
        ) from error


def seconds_of(fields: Mapping[str, Any], name: str) -> float:
    """A field's seconds; raises ``ManifestError``, without a place, for any that are no time."""
    value = _number(fields.get(name))
    if value is None:
        raise ManifestError(f"{name} is {shortened(repr(fields.get(name)))}, expected seconds")
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


_UNPACK: Final = "is compressed with {0}, expected {{}}: unpack it ({1})"
_CONVERT: Final = "is {0}, expected UTF-8: convert it (iconv -f {0} -t UTF-8 OLD > NEW)"
_AUDIO: Final = (
    "is a recording, expected JSON Lines that name recordings: transcribe it without a manifest"
)
_BINARY: Final = (
    "is binary, expected JSON Lines that name recordings: transcribe a recording without a manifest"
)
_SIGNATURES: Final = (
    (b"\x1f\x8b", _UNPACK.format("gzip", "gunzip")),
    (b"BZh", _UNPACK.format("bzip2", "bunzip2")),
    (b"\xfd7zXZ", _UNPACK.format("xz", "unxz")),
    (b"\x28\xb5\x2f\xfd", _UNPACK.format("zstd", "unzstd")),
    (b"PK\x03\x04", _UNPACK.format("zip", "unzip")),
    (b"\xff\xfe\0\0", _CONVERT.format("UTF-32")),
    (b"\0\0\xfe\xff", _CONVERT.format("UTF-32")),
    (b"\xff\xfe", _CONVERT.format("UTF-16")),
    (b"\xfe\xff", _CONVERT.format("UTF-16")),
    (b"{\0", _CONVERT.format("UTF-16LE")),
    (b"\0{", _CONVERT.format("UTF-16BE")),
)
AUDIO_SIGNATURES: Final = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"NIST_1A")
_MAKE: Final = "make a manifest of it and its recordings"
_TABLES: Final = ((b"\t", "tabs"), (b"|", "|"), (b";", ";"), (b",", "commas"))


def packed_or_encoded(head: bytes, expected: str) -> str:
    """How a file that begins with ``head`` is compressed, or encoded if not as UTF-8, and the cure.

    Empty for any other; ``expected`` is what the caller reads.
    """
    found = (what for signature, what in _SIGNATURES if head.startswith(signature))
    return next(found, "").format(expected)


def check_json_lines(path: Path, head: bytes) -> None:
    """Raise ``ManifestError`` when a file that begins with ``head`` holds no JSON objects.

    One line with an object is enough: the errors of other lines are their own.
    """
    if what := packed_or_encoded(head, "JSON Lines"):
        raise _error(path, what)
    if head.startswith(AUDIO_SIGNATURES):
        raise _error(path, _AUDIO)
    lines = [
        line for each in head.removeprefix(b"\xef\xbb\xbf").splitlines() if (line := each.strip())
    ]
    if lines and (what := _not_json_lines(lines)):
        raise _error(path, what)


def _error(path: Path, what: str) -> ManifestError:
    if what in (_AUDIO, _BINARY):
        return ManifestError.of(path, what, options=("transcribe()",))
    options = ("read_source()",) if what.endswith(_MAKE) else ()
    return ManifestError.of(path, what, options=options)


def _not_json_lines(lines: list[bytes]) -> str:
    """What a text without any JSON object on a line is; empty for any other text."""
    first = lines[0]
    if first == b"[" or first.startswith((b"[{", b"[ {")):
        return "is one JSON array, expected an object a line: convert it (jq -c '.[]' OLD > NEW)"
    if first == b"{":
        return (
            "has JSON objects over several lines, expected one each: convert it (jq -c . OLD > NEW)"
        )
    if b"\0" in b"".join(lines) and not first.startswith(b"{"):
        return _BINARY
    if any(line.startswith(b"{") for line in lines):
        return ""
    for delimiter, name in _TABLES:
        if len(lines) > 1 and all(delimiter in line for line in lines[:2]):
            return f"is a table with {name}, expected JSON Lines: {_MAKE}"
    return f"is text without any JSON object, expected JSON Lines: {_MAKE}" if lines[1:] else ""
