"""Utterances as JSON for the page's script, which lists, searches and plays them.

An alignment is written as a letter for each step (``Kind``) and the words that are
not the reference's: most are. Times are milliseconds.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from ...transcript import Word
from ..result import Evaluation, Recognized, Utterance
from .alignment import Kind, Step
from .audio import AudioOf
from .times import timed_words


def data(
    evaluation: Evaluation,
    alignments: Sequence[Sequence[Sequence[Step]]],
    audio: AudioOf,
    details: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    """What ``scripts`` in ``assets`` read."""
    return {
        "systems": [system.name for system in evaluation.systems],
        "utterances": [
            _utterance(utterance, steps, audio)
            for utterance, steps in zip(evaluation.utterances, alignments, strict=True)
        ],
        "details": details,
    }


def _utterance(
    utterance: Utterance, alignments: Sequence[Sequence[Step]], audio: AudioOf
) -> dict[str, Any]:
    sound = audio(utterance)
    return {
        "line": utterance.line,
        "name": utterance.name,
        "audio": sound.address,
        "offset": round(sound.offset_s, 3),
        "duration": round(utterance.duration_s, 3),
        "reference": " ".join(step.reference for step in alignments[0] if step.reference)
        if alignments
        else utterance.reference,
        "loss": {model: _finite(loss) for model, loss in utterance.ctc_loss.items()},
        "recognized": [
            _recognized(recognized, steps)
            for recognized, steps in zip(utterance.recognized, alignments, strict=True)
        ],
    }


def _recognized(recognized: Recognized, steps: Sequence[Step]) -> dict[str, Any]:
    spoken = recognized.transcript.words
    words = timed_words(spoken, [step.hypothesis for step in steps if step.hypothesis])
    written: dict[str, Any] = {
        "steps": "".join(step.kind for step in steps),
        "words": " ".join(
            step.hypothesis for step in steps if step.kind in (Kind.SUBSTITUTION, Kind.INSERTION)
        ),
        "times": list(chain.from_iterable(map(_milliseconds, words))),
    }
    if any(word is not None and word.confidence is not None for word in words):
        written["confidence"] = [_percent(word) for word in words]
    return written


def _milliseconds(word: Word | None) -> tuple[int, int]:
    """Start and end; both -1 where they are not known."""
    if word is None:
        return -1, -1
    return round(1000 * word.start_s), round(1000 * word.end_s)


def _finite(loss: float) -> float | None:
    """JSON has no infinity."""
    return round(loss, 2) if math.isfinite(loss) else None


def _percent(word: Word | None) -> int | None:
    return None if word is None or word.confidence is None else round(100 * word.confidence)
