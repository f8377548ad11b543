"""A source of utterances, and what every kind of it yields: utterances and problems."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

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


class LeftOut(ManifestError):
    """One utterance cannot be in the manifest; becomes a ``Problem`` with its place."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


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
class Utterance:
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


Found: TypeAlias = Iterator[Utterance | Problem]
