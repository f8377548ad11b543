"""What sources of utterances are made of: utterances, problems, audio by name, lines by key."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, TextIO, TypeAlias

from ...errors import ManifestError


@dataclass(frozen=True)
class Source:
    """Paths of audio and transcripts.

    Names of audio are relative to the folder ``audio``. The columns are those of a table, ``None``
    for the usual names.
    """

    audio: Path
    transcripts: Path
    audio_column: str | None = None
    text_column: str | None = None


class Fault(StrEnum):
    """Why an utterance is left out, as counted."""

    NO_TRANSCRIPT = "audio without transcript"
    NO_AUDIO = "transcripts without audio"
    EMPTY = "empty transcripts"
    MALFORMED = "malformed lines"
    UNREADABLE = "audio that cannot be read"
    DURATION = "wrong durations or pieces"
    DUPLICATE = "duplicates"


@dataclass(eq=False, repr=False, kw_only=True)
class LeftOut(ManifestError):
    """One utterance cannot be in the manifest; becomes a ``Problem`` with its place."""

    fault: Fault = Fault.MALFORMED


@dataclass(frozen=True)
class Problem:
    """An utterance left out: ``where`` it is, the ``reason``, and what to do about it."""

    where: str
    reason: str
    fault: Fault

    @classmethod
    def of(cls, where: str, error: LeftOut) -> "Problem":
        """The error as a problem at ``where``."""
        return cls(where, error.message, error.fault)


@dataclass(frozen=True)
class SourceUtterance:
    """A recording, or the piece of it from ``offset_s`` on, and its transcript.

    ``duration_s`` is the source's, ``None`` without one; ``text`` is ``None`` only where a
    manifest has none.
    """

    where: str
    audio: Path
    text: str | None
    offset_s: float | None = None
    duration_s: float | None = None
    speaker: str | None = None


Found: TypeAlias = Iterator[SourceUtterance | Problem]


AUDIO_SUFFIXES: Final = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .sph .nist .aif .aiff .au .caf .w64 .rf64 .raw "
    ".m4a .mp4 .aac .webm .wma .amr".split()
)
"""Suffixes of speech recordings, whether or not they can be read here."""


def files_below(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """The files with these suffixes, in any case: each folder's by name, then its subfolders'.

    Raises ``ManifestError`` when ``folder`` is no folder.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder} is no folder: check the path", path=folder)
    endings = tuple(suffixes)
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            # macOS leaves ._a.wav beside a.wav on other systems' disks
            if name.lower().endswith(endings) and not name.startswith("."):
                yield Path(path, name)


class AudioFolder:
    """The audio below a folder, found by the names that transcripts give it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: set[Path] = set()

    def find(self, name: str) -> Path:
        """The file called ``name``, with or without its suffix.

        Takes the file at this path from the folder, else the only one of that name anywhere below
        it: data sets are moved and converted. Raises ``LeftOut`` for none or several.
        """
        if not name:
            raise LeftOut("names no audio", fault=Fault.MALFORMED)
        path = self.path / name
        # Path.is_file raises where a name is too long to be one
        found = [path] if os.path.isfile(path) else self._called(path)  # noqa: PTH113
        if len(found) > 1:
            names = ", ".join(str(each.relative_to(self.path)) for each in found)
            reason = f"{name} may be {names}, expected one such file in {self.path}"
            raise LeftOut(reason, fault=Fault.NO_AUDIO)
        if not found:
            raise LeftOut(
                f"no audio in {self.path} is called {name}: check that folder", fault=Fault.NO_AUDIO
            )
        self._found.add(found[0])
        return found[0]

    def without_transcript(self) -> Iterator[Problem]:
        """The files that no transcript has asked for."""
        for path in self._files:
            if path not in self._found:
                yield Problem(str(path), "has no transcript", Fault.NO_TRANSCRIPT)

    def _called(self, path: Path) -> list[Path]:
        named = self._by_name.get(path.name, [])
        return [each for each in named if each.with_suffix("") == path] or named

    @cached_property
    def _files(self) -> list[Path]:
        return list(files_below(self.path, AUDIO_SUFFIXES))

    @cached_property
    def _by_name(self) -> Mapping[str, list[Path]]:
        files = defaultdict(list)
        for path in self._files:
            files[path.name].append(path)
            files[path.stem].append(path)
        return files


def plain(path: Path) -> Path:
    """The absolute path without ``..``, without following links."""
    return Path(os.path.normpath(path.absolute()))


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Text in UTF-8, with or without a byte order mark; other bytes become lone surrogates.

    Raises ``ManifestError`` when the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        raise ManifestError.of(path, f"cannot be read: {error.strerror}: check the path") from error


@dataclass(frozen=True)
class Line:
    """A line of a text file, and ``where`` it is."""

    where: str
    text: str


def read_lines(path: Path) -> Iterator[Line]:
    """The non-blank lines, without surrounding white space; raises as ``open_text`` does."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if text := line.strip():
                yield Line(f"{path} line {number}", text)


def keyed_lines(path: Path) -> Iterator[tuple[str, Line]]:
    """Lines of a key and the rest, as Kaldi and LibriSpeech have them; raises as open_text does."""
    return map(keyed, read_lines(path))


def keyed(line: Line) -> tuple[str, Line]:
    """The key that a line begins with, and the rest."""
    key, _, rest = line.text.replace("\t", " ").partition(" ")
    return key, Line(line.where, rest.strip())


class KeyedLines:
    """The first line of each key, in order; the others are ``problems``."""

    def __init__(self, path: Path, keyed: Iterable[tuple[str, Line]]) -> None:
        self.path = path
        self.lines: dict[str, Line] = {}
        self.problems: list[Problem] = []
        self._taken: set[str] = set()
        for key, line in keyed:
            first = self.lines.setdefault(key, line)
            if first is not line:
                reason = f"{key} is in {first.where} too: keep one of them"
                self.problems.append(Problem(line.where, reason, Fault.DUPLICATE))

    def take(self, key: str, fault: Fault) -> Line:
        """The line of ``key``; without one raises ``LeftOut`` with that ``fault``."""
        if key not in self.lines:
            raise LeftOut(f"{key} is not in {self.path}", fault=fault)
        self._taken.add(key)
        return self.lines[key]

    def without_audio(self, others: Path) -> Iterator[Problem]:
        """The lines whose key is not in ``others``: they have no audio."""
        for key, line in self.lines.items():
            if key not in self._taken:
                yield Problem(line.where, f"{key} is not in {others}", Fault.NO_AUDIO)
