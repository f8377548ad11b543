"""Lines of text: a recording's name and text, a JSON object, or its words in CTM.

Text is ``name<TAB>text``, without text where there is none. JSON Lines keep the manifest's fields
and add ``pred_text``, ``words`` with their times in seconds and confidence, of a beam search
``nbest`` with scores, or ``error``, and ``warnings`` of what is wrong with the recording. One that
was cut has ``segments`` with times, text and ``nbest``. They and their words have a ``channel`` and
a ``speaker``, where these are known.

CTM, which NIST's scoring tools read (``sclite``), has a line for each word: ``file channel start
duration word confidence``, the confidence only where it is known. The file goes by its name without
folder and ending, and times are the file's, so that the pieces of a recording that a manifest lists
go together. ``;;`` begins a comment.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ...transcript import Hypothesis, Segment, Transcript, Word
from ...utils.utf8 import json_text

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...result import Result

MONO: Final = 1
"""The channel of recordings that have one, or of the mean of several."""

WARNINGS = "warnings"
_OURS = ("pred_text", "words", "segments", "nbest", "error", WARNINGS)


def text_line(entry: "Entry", result: "Result") -> str:
    """The name and the text; a failed recording keeps its line."""
    text = "" if result.transcript is None else result.transcript.text
    return f"{entry.name}\t{text}\n"


def json_line(entry: "Entry", result: "Result") -> str:
    """The entry's fields and what became of it."""
    return json_text(json_fields(entry, result)) + "\n"


def json_fields(entry: "Entry", result: "Result") -> dict[str, Any]:
    """What ``json_line`` writes; what an earlier run has added is replaced."""
    fields = {name: value for name, value in entry.fields.items() if name not in _OURS}
    if result.warnings:
        fields[WARNINGS] = list(result.warnings)
    if result.error is not None:
        fields["error"] = result.error.message
    if result.transcript is None:
        return fields
    fields.setdefault("duration", round(result.duration_s, 3))
    fields["pred_text"] = result.transcript.text
    fields["words"] = [
        {**_word(word), **_whose(segment)} for segment, word in _labelled(result.transcript)
    ]
    if result.transcript.segments is not None:
        fields["segments"] = list(map(_segment, result.transcript.segments))
    if result.transcript.nbest:
        fields["nbest"] = list(map(_hypothesis, result.transcript.nbest))
    return fields


def ctm(entry: "Entry", result: "Result", channel: int = MONO) -> str:
    """A line for each word, by channel and time; a comment for a failed recording.

    ``channel``, from 1, is that of words of which none is known.
    """
    name = recording_name(entry)
    if result.transcript is None:
        reason = "" if result.error is None else result.error.message
        return f";; {name}: {' '.join(reason.split())}\n"
    offset_s = float(entry.fields.get("offset") or 0.0)
    words = [
        ((segment and segment.channel) or channel, word)
        for segment, word in _labelled(result.transcript)
    ]
    words.sort(key=lambda each: (each[0], each[1].start_s))
    return "".join(_ctm_line(name, number, word, offset_s) for number, word in words)


def _labelled(transcript: Transcript) -> Iterator[tuple[Segment | None, Word]]:
    """Each word with its segment, if the recording was cut into any."""
    if transcript.segments is None:
        yield from ((None, word) for word in transcript.words)
    for segment in transcript.segments or ():
        yield from ((segment, word) for word in segment.words)


def recording_name(entry: "Entry") -> str:
    """What the recording is called: fields are separated by spaces, so a name has none."""
    return "_".join(PurePath(entry.name).stem.split())


def _ctm_line(name: str, channel: int, word: Word, offset_s: float) -> str:
    duration_s = word.end_s - word.start_s
    line = f"{name} {channel} {offset_s + word.start_s:.3f} {duration_s:.3f} {word.text}"
    return f"{line}\n" if word.confidence is None else f"{line} {word.confidence:.4f}\n"


def _segment(segment: Segment) -> dict[str, Any]:
    fields = {
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        **_whose(segment),
        "text": segment.text,
    }
    if segment.nbest:
        fields["nbest"] = list(map(_hypothesis, segment.nbest))
    return fields


def _whose(segment: Segment | None) -> dict[str, Any]:
    """The channel and speaker that are known."""
    if segment is None:
        return {}
    known = {"channel": segment.channel, "speaker": segment.speaker}
    return {name: value for name, value in known.items() if value is not None}


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start_s, 3),
        "end": round(word.end_s, 3),
        "confidence": None if word.confidence is None else round(word.confidence, 4),
    }


def _hypothesis(hypothesis: Hypothesis) -> dict[str, Any]:
    return {
        "text": hypothesis.text,
        "score": round(hypothesis.score, 4),
        "acoustic_score": round(hypothesis.acoustic_score, 4),
        "language_model_score": round(hypothesis.language_model_score, 4),
    }
