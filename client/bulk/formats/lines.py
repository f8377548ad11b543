"""A line for each recording: its name and text, or a JSON object.

Text is ``name<TAB>text``, without text where there is none. JSON Lines keep the manifest's fields
and add ``pred_text``, ``words`` with their times in seconds and confidence, of a beam search
``nbest`` with scores, or ``error``, and ``warnings`` of what is wrong with the recording.
"""

from typing import TYPE_CHECKING, Any

from ...transcript import Hypothesis, Word
from ...utils.utf8 import json_text

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...transcriber import Result

WARNINGS = "warnings"
_OURS = ("pred_text", "words", "nbest", "error", WARNINGS)


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
    if result.transcript is None:
        fields["error"] = str(result.error)
        return fields
    fields.setdefault("duration", round(result.duration_s, 3))
    fields["pred_text"] = result.transcript.text
    fields["words"] = list(map(_word, result.transcript.words))
    if result.transcript.nbest:
        fields["nbest"] = list(map(_hypothesis, result.transcript.nbest))
    return fields


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
