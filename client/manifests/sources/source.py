"""What is read from, and what every kind of source gives: utterances, and what is left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from ...errors import ManifestError


@dataclass(frozen=True)
class Source:
    """Where audio and transcripts lie.

    Names of audio are relative to the folder ``audio``. The columns are those of a table, ``None``
    for the usual names.
    """

    audio: Path
    transcripts: Path
    audio_column: str | None = None
    text_column: str | None = None


class Fault(StrEnum):
    """Why something is left out, as it is counted."""

    NO_TRANSCRIPT = "audio without transcript"
    NO_AUDIO = "transcripts without audio"
    EMPTY = "empty transcripts"
    MALFORMED = "malformed lines"
    UNREADABLE = "audio that cannot be read"
    DURATION = "wrong durations or pieces"
    DUPLICATE = "duplicates"


class LeftOut(ManifestError):
    """One utterance cannot be in the manifest; becomes a ``Problem`` where it stands."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True)
class Problem:
    """Something left out: ``where`` it stands, and the ``reason``, with what to do about it."""

    where: str
    reason: str
    fault: Fault

    @classmethod
    def of(cls, where: str, error: LeftOut) -> "Problem":
        """The error, and where what it is about stands."""
        return cls(where, str(error), error.fault)


@dataclass(frozen=True)
class Utterance:
    """A recording, or the piece of it from ``offset_s`` on, and what was said.

    ``duration_s`` is what the source says, ``None`` when it does not; ``text`` is ``None`` only
    where a manifest has none.
    """

    where: str
    audio: Path
    text: str | None
    offset_s: float | None = None
    duration_s: float | None = None
    speaker: str | None = None


Found: TypeAlias = Iterator[Utterance | Problem]
