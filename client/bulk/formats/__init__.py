"""What a transcript looks like in a file: text, JSON Lines, CTM, and subtitles in SRT and WebVTT.

A format is a pure function of an entry and its result; what it gives ends with a line break, or is
empty. Times are seconds from the beginning of what was transcribed, in CTM of the file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .ctm import ctm
from .lines import json_line, text_line
from .subtitles import srt, vtt

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...transcriber import Result

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """How results are written.

    ``confidence``: it shows how sure words are, for which greedy decoding asks for more.
    ``one_file_each``: a file holds one recording, not several after one another.
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
"""By the name that ``--format`` takes, which is also how their files end; ``text`` is ``.txt``."""
