"""Transcripts as text, JSON Lines, CTM, and subtitles in SRT and WebVTT.

A format is a pure function of an entry and its result; its text ends with a line break, or is
empty. Times are seconds from the start of the transcribed piece, in CTM from the file's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .lines import ctm, json_line, text_line
from .subtitles import srt, vtt

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...result import Result

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """How results are written.

    ``confidence``: it contains words' confidence, for which greedy decoding needs log_probs.
    ``one_file_each``: a file holds one recording, not several in a row.
    """

    write: "Callable[[Entry, Result], str]"
    confidence: bool = False
    one_file_each: bool = False


FORMATS: Final[Mapping[str, Format]] = {
    "text": Format(text_line),
    "jsonl": Format(json_line, confidence=True),
    "srt": Format(srt, one_file_each=True),
    "vtt": Format(vtt, one_file_each=True),
    "ctm": Format(ctm, confidence=True),
}
"""By name, which is also the suffix of their files; ``text`` is ``.txt``."""
