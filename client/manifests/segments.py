"""Segment files: where somebody speaks in recordings, and who, as diarizers and aligners write it.

Flow: a file → its lines → ``SegmentFile``, the spans of each recording, and a problem for each bad
line; the others are kept.

The first line that fits a format decides which the file has, whatever its name:

======================================  ==========================================================
it begins with ``{`` or ``[``           JSON: NeMo's manifests of segments, our results in JSON
                                        Lines, or one document, as WhisperX and pyannote write
it begins with a type of NIST's, as     RTTM
``SPEAKER``
two numbers are third and fourth of
  four fields                           Kaldi's ``segments``, with ``utt2spk`` in the same folder
  more fields                           CTM
======================================  ==========================================================

Files are UTF-8, with or without a byte order mark. Blank lines are skipped, and lines that begin
with ``;;`` or ``#``.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Final

from ..audio import Span
from ..errors import ManifestError
from ..utils.shortened import shortened
from .manifest import AUDIO_SIGNATURES, HEAD_BYTES, located, packed_or_encoded
from .segment_json import is_json, read_json
from .segment_lines import (
    SPEAKERS,
    Found,
    is_ctm,
    is_kaldi,
    is_rttm,
    read_ctm,
    read_kaldi,
    read_rttm,
)
from .sources.files import AUDIO_SUFFIXES, plain

_Fits = Callable[[bytes], bool]
_Read = Callable[[Path, Sequence[bytes]], Iterator[Found | ManifestError]]
_FORMATS: Final[tuple[tuple[_Fits, _Read], ...]] = (
    (is_json, read_json),
    (is_rttm, read_rttm),
    (is_kaldi, read_kaldi),
    (is_ctm, read_ctm),
)
_EXPECTED: Final = "a segment file: RTTM, CTM, Kaldi's segments or JSON with times"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class SegmentFile:
    """What a segment file says, and a problem for each line of it that says nothing usable."""

    path: Path
    problems: tuple[ManifestError, ...]
    """In the order of lines; each has ``path``, and ``line`` where it is known."""
    by_recording: Mapping[str | None, tuple[Span, ...]] = field(repr=False)
    """Spans by the name that the file has for the recording, sorted by start, each once; under
    ``None`` those of a document that names no recording, which hold for any."""

    def of(self, recording: str) -> tuple[Span, ...]:
        """The spans of a recording, its path as the user gave it; raises as ``name_of`` does.

        Empty only if the file says that nobody speaks there.
        """
        return self.by_recording[self.name_of(recording)]

    def name_of(self, recording: str) -> str | None:
        """What the file calls the recording; ``None`` if its spans are for any.

        It is found by the path as written, else by the file that the path leads to, else by its
        name without folder and suffix. Raises ``ManifestError`` when it has none or several.
        """
        names = self._names(recording)
        if len(names) == 1:
            return names[0]
        if not names and None in self.by_recording:
            return None
        there = shortened(list(names or self.by_recording))
        asked = shortened(repr(recording))
        if names:
            raise ManifestError.of(
                self.path,
                f"{asked} may be any of {there}, expected one: give the path as it is there",
            )
        raise ManifestError.of(
            self.path,
            f"has no segments of {asked}, expected one of {there}: a recording is found by its "
            "path, or by its name without folder and suffix",
        )

    def unused(self, recordings: Iterable[str]) -> tuple[str, ...]:
        """The names in the file that none of these ``recordings`` has."""
        used = {name for recording in recordings for name in self._names(recording)}
        return tuple(name for name in self.by_recording if name is not None and name not in used)

    def _names(self, recording: str) -> Sequence[str]:
        if recording in self.by_recording:
            return [recording]
        path = Path(recording)
        return (
            self._by_path.get(plain(path))
            # A name in RTTM may have a dot itself: what a suffix is shows in the recording's.
            or self._by_stem.get(_stem(recording))
            or self._by_stem.get(_spaceless(path.stem))
            or ()
        )

    @cached_property
    def _by_path(self) -> Mapping[object, list[str]]:
        return self._names_by(lambda name: plain(located(self.path.parent, name)))

    @cached_property
    def _by_stem(self) -> Mapping[object, list[str]]:
        return self._names_by(_stem)

    def _names_by(self, key: Callable[[str], object]) -> Mapping[object, list[str]]:
        names = defaultdict(list)
        for name in self.by_recording:
            if name is not None:
                names[key(name)].append(name)
        return names


def files_of(path: Path) -> tuple[Path, ...]:
    """What ``read_segments`` reads: the file, and the ``utt2spk`` in its folder if there is one."""
    speakers = path.with_name(SPEAKERS)
    return (path, speakers) if speakers.is_file() else (path,)


def read_segments(path: Path) -> SegmentFile:
    """The segments in a file.

    Raises ``ManifestError`` when the file cannot be read, is of no format that is known, or has no
    segment that can be used.
    """
    lines = [_uncommented(line) for line in _read(path).splitlines()]
    if not any(lines):
        raise ManifestError.of(path, f"is empty, expected {_EXPECTED}")
    read = next((read for line in lines if line for fits, read in _FORMATS if fits(line)), None)
    if read is None:
        first = shortened(repr(next(filter(None, lines)).decode("utf-8", "backslashreplace")))
        raise ManifestError.of(path, f"begins with {first}, expected {_EXPECTED}: convert it")
    spans: defaultdict[str | None, list[Span]] = defaultdict(list)
    errors = []
    for found in read(path, lines):
        if isinstance(found, ManifestError):
            errors.append(found)
        else:
            spans[found[0]] += found[1]
    errors.sort(key=lambda error: error.line or 0)
    if not spans:
        raise _unusable(path, errors)
    problems = tuple(_placed(path, error) for error in errors)
    return SegmentFile(path, problems, {name: _in_order(each) for name, each in spans.items()})


def _unusable(path: Path, errors: Sequence[ManifestError]) -> ManifestError:
    if not errors:
        return ManifestError.of(path, f"has no segments, expected {_EXPECTED}")
    first, count = errors[0], len(errors)
    where = "the first" if first.line is None else f"line {first.line}"
    reason = f"none of its {count:,} segments can be used: {where} {first.message}"
    return ManifestError.of(path, reason, line=first.line)


def _in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(dict.fromkeys(spans), key=lambda span: (span.start_s, span.end_s)))


def _placed(path: Path, error: ManifestError) -> ManifestError:
    """The error with its place, if it does not have one: ``utt2spk`` has its own."""
    if error.path is not None:
        return error
    where = path if error.line is None else f"{path} line {error.line}"
    return error.amended(message=f"{where}: {error.message}", path=path)


def _uncommented(line: bytes) -> bytes:
    """The line without surrounding white space; nothing of a comment."""
    line = line.strip()
    return b"" if line.startswith((b";;", b"#")) else line


def _read(path: Path) -> bytes:
    """The text of a file; of one that is no text only the beginning is read."""
    try:
        with path.open("rb", HEAD_BYTES) as file:
            _check(path, file.peek(HEAD_BYTES))  # type: ignore[attr-defined]
            return file.read().removeprefix(_BOM)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError.of(
            path, f"cannot read the segments: {reason}, expected {_EXPECTED}"
        ) from error


def _check(path: Path, head: bytes) -> None:
    what = packed_or_encoded(head, _EXPECTED)
    if head.startswith(AUDIO_SIGNATURES):
        what = f"is a recording, expected {_EXPECTED}: name the file that a diarizer wrote"
    elif not what and b"\0" in head:
        what = f"is binary, expected {_EXPECTED}"
    if what:
        raise ManifestError.of(path, what)


def _stem(name: str) -> str:
    """The name without folder, and without the suffix if that is one of recordings."""
    path = PurePath(name)
    return _spaceless(path.stem if path.suffix.lower() in AUDIO_SUFFIXES else path.name)


def _spaceless(name: str) -> str:
    """As files of fields call a recording: spaces separate fields."""
    return "_".join(name.split())
