"""Segments as JSON: a manifest of them, our own results, or one document of a diarizer.

JSON Lines name a recording each (``audio_filepath``). A line of NeMo's has ``offset`` and
``duration``, seconds, and who speaks in ``speaker`` or ``label``. A line of ours has ``segments``,
a list of objects with ``start`` and ``end``, seconds from the line's ``offset``, if it has one.

A document is a list of such objects, or an object with one in ``segments`` (WhisperX) or
``diarization`` (pyannote). What names no recording there holds for any.

A ``channel`` counts from 1, as everywhere here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..audio import Span
from ..audio.options import MOST_CHANNELS
from ..errors import AsrError, ManifestError
from ..utils.shortened import shortened
from .manifest import audio_of, check_object, parse_object, seconds_of
from .segment_lines import Found, exact, numbered, problem, quoted

_LISTS: Final = ("segments", "diarization")
_NOBODY: Final = frozenset({"", "UNK", "infer"})
"""NeMo's labels where the speaker is not known."""


def is_json(line: bytes) -> bool:
    """Whether it begins as an object or a list does."""
    return line.startswith((b"{", b"["))


def read_json(path: Path, lines: Sequence[bytes]) -> Iterator[Found | ManifestError]:
    """The spans of each object, and the errors of lines and of segments.

    Raises ``ManifestError`` when the file is neither JSON Lines nor one document.
    """
    try:
        document = json.loads(b"\n".join(lines).decode())
    except (ValueError, RecursionError) as error:
        yield from _of_lines(path, lines, error)
        return
    if isinstance(document, list):
        if not document:
            yield None, ()
        for number, item in enumerate(document, start=1):
            for each in _of_object(item):
                yield _inside(number, each) if isinstance(each, ManifestError) else each
        return
    first, _ = next(numbered(lines))
    for each in _of_object(document):
        yield problem(first, each) if isinstance(each, ManifestError) else each


def _of_lines(
    path: Path, lines: Sequence[bytes], error: Exception
) -> Iterator[Found | ManifestError]:
    """JSON Lines; the ``error`` is that of reading them as one document."""
    parsed = [(number, _parsed(line)) for number, line in numbered(lines)]
    if not any(isinstance(fields, Mapping) for _, fields in parsed):
        raise ManifestError.of(
            path,
            f"is no JSON ({error}), expected an object with audio_filepath a line, or one document",
            line=getattr(error, "lineno", None),
        ) from error
    for number, fields in parsed:
        found = _of_object(fields, named=True) if isinstance(fields, Mapping) else [fields]
        for each in found:
            yield problem(number, each) if isinstance(each, ManifestError) else each


def _parsed(line: bytes) -> Mapping[str, Any] | ManifestError:
    try:
        return parse_object(line)
    except ManifestError as error:
        return error


def _of_object(fields: Any, *, named: bool = False) -> Iterator[Found | ManifestError]:
    """The spans of one object, and the errors of it or of its segments."""
    try:
        recording = _recording(fields, named=named)
        listed = next((name for name in _LISTS if fields.get(name) is not None), None)
        if listed is None:
            if "error" in fields:  # of our results: its offset and duration are no segment
                raise ManifestError("failed and has no segments: transcribe the recording again")
            yield recording, (_span(fields),)
            return
        parts, offset_s = _parts(fields, listed), _offset_s(fields)
    except AsrError as error:
        yield problem(None, error)
        return
    spans = []
    for number, part in enumerate(parts, start=1):
        try:
            spans.append(_span(part, offset_s))
        except AsrError as error:
            yield _inside(number, error)
    if spans or not parts:
        yield recording, tuple(spans)


def _inside(number: int, error: AsrError) -> ManifestError:
    return ManifestError(f"segment {number}: {error.message}")


def _recording(fields: Any, *, named: bool) -> str | None:
    """The recording's path; ``None`` without one, unless each has to be ``named``."""
    check_object(fields)
    audio = audio_of(fields)
    if audio is None and named:
        raise ManifestError(
            "lacks audio_filepath, expected the path of a recording, or one list of segments for "
            "any (jq -s . OLD > NEW)"
        )
    if audio is not None and not (isinstance(audio, str) and audio):
        raise ManifestError(f"audio_filepath is {quoted(audio)}, expected a path")
    return audio


def _parts(fields: Mapping[str, Any], name: str) -> list[Any]:
    parts = fields[name]
    if not isinstance(parts, list):
        raise ManifestError(f"{name} is {quoted(parts)}, expected a list of objects")
    return parts


def _span(fields: Any, from_s: float = 0.0) -> Span:
    """An object's span, with times from ``from_s`` on; raises ``ManifestError``, ``AudioError``."""
    check_object(fields)
    if "start" in fields or "end" in fields:
        start_s, end_s = seconds_of(fields, "start"), seconds_of(fields, "end")
    elif fields.get("duration") is not None:
        start_s = _offset_s(fields)
        end_s = start_s + seconds_of(fields, "duration")
    else:
        raise ManifestError(
            f"has the fields {shortened(list(fields))}, expected start and end, offset and "
            "duration, or segments"
        )
    channel, speaker = _channel(fields), _speaker(fields)
    return Span(exact(from_s + start_s), exact(from_s + end_s), channel, speaker)


def _offset_s(fields: Mapping[str, Any]) -> float:
    return 0.0 if fields.get("offset") is None else seconds_of(fields, "offset")


def _channel(fields: Mapping[str, Any]) -> int | None:
    channel = fields.get("channel")
    if channel is None or (type(channel) is int and 1 <= channel <= MOST_CHANNELS):
        return channel
    raise ManifestError(
        f"channel is {quoted(channel)}, expected 1 to {MOST_CHANNELS}: they count from 1"
    )


def _speaker(fields: Mapping[str, Any]) -> str | None:
    speaker = fields.get("speaker")
    if speaker is None:
        speaker = fields.get("label")
    if speaker is None:
        return None
    if isinstance(speaker, bool) or not isinstance(speaker, str | int):
        raise ManifestError(f"speaker is {quoted(speaker)}, expected a name")
    return None if speaker in _NOBODY else str(speaker)
