"""Utterances as JSON for the page's script, which lists, searches and plays them.

An alignment is written as a letter for each step (``Kind``) and the words that are
not the reference's: most are. Times are milliseconds. Sound is in its own file or in the page.
"""

import base64
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import soundfile

from ...audio import AudioOptions, load_audio
from ...errors import AudioError
from ...transcript import Word
from ..result import Evaluation, Recognized, Utterance
from .alignment import Kind, Step, timed_words


@dataclass(frozen=True)
class Sound:
    """An address for the browser, if there is one; the utterance begins at ``offset_s``."""

    address: str | None
    offset_s: float = 0.0


AudioOf: TypeAlias = Callable[[Utterance], Sound]


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


def linked(page: Path) -> AudioOf:
    """Files by links relative to the page, so that both can be moved together."""
    folder = page.absolute().parent

    def link(utterance: Utterance) -> Sound:
        clip = utterance.clip
        if not isinstance(clip.source, (Path, str)):
            return Sound(None)
        relative = os.path.relpath(Path(clip.source).absolute(), folder)
        return Sound(quote(os.fsencode(relative)), clip.offset_s)

    return link


def embedded(sample_rate_hz: int, options: AudioOptions) -> AudioOf:
    """What the model heard, mono at this rate, as FLAC; no sound where the file is gone."""

    def embed(utterance: Utterance) -> Sound:
        try:
            samples = load_audio(utterance.clip, sample_rate_hz, options, lambda _: None)
        except AudioError:
            return Sound(None)
        stream = io.BytesIO()
        soundfile.write(stream, samples, sample_rate_hz, format="FLAC")
        return Sound(f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}")

    return embed
