"""CTM, the words with their times that NIST's scoring tools read (``sclite``).

A line for each word: ``file channel start duration word confidence``, the confidence only where it
is known. The file goes by its name without folder and ending, and times are the file's, so that
the pieces of a recording that a manifest lists go together. ``;;`` begins a comment.
"""

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from ...transcript import Word

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...transcriber import Result

MONO: Final = 1
"""The channel of recordings that have one, or of the mean of several."""


def ctm(entry: "Entry", result: "Result", channel: int = MONO) -> str:
    """A line for each word of the ``channel``, from 1; a comment for a failed recording."""
    name = recording_name(entry)
    if result.transcript is None:
        return f";; {name}: {' '.join(str(result.error).split())}\n"
    offset_s = float(entry.fields.get("offset") or 0.0)
    return "".join(_line(name, channel, word, offset_s) for word in result.transcript.words)


def recording_name(entry: "Entry") -> str:
    """What the recording is called: fields are separated by spaces, so a name has none."""
    return "_".join(PurePath(entry.name).stem.split())


def _line(name: str, channel: int, word: Word, offset_s: float) -> str:
    duration_s = word.end_s - word.start_s
    line = f"{name} {channel} {offset_s + word.start_s:.3f} {duration_s:.3f} {word.text}"
    return f"{line}\n" if word.confidence is None else f"{line} {word.confidence:.4f}\n"
