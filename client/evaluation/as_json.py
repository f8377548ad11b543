"""An evaluation as JSON for machines.

With a single system, its rates stand at the top too, as scripts for one system read them. What has
no number (a rate without utterances, an infinite loss) is ``null``.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..decoding import BeamOptions, DecoderOptions
from .metrics import ErrorCounts
from .result import Evaluation, Interval, Score, System, Utterance
from .scoring import mean_loss

_NOTHING = ErrorCounts(0, 0, 0, 0)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but words' times and other hypotheses."""
    scores = evaluation.scores or [None] * len(evaluation.systems)
    systems = [
        _system(system, score, evaluation.audio_s)
        for system, score in zip(evaluation.systems, scores, strict=True)
    ]
    rates = ("wer", "cer", "words", "characters")
    only = {name: systems[0][name] for name in rates} if len(systems) == 1 else {}
    return {
        **only,
        "utterances": len(evaluation.utterances),
        "failed": len(evaluation.failures),
        "failures": [asdict(failure) for failure in evaluation.failures],
        "audio_s": round(evaluation.audio_s, 3),
        "elapsed_s": round(evaluation.elapsed_s, 3),
        "rtfx": _rtfx(evaluation.audio_s, evaluation.elapsed_s),
        "manifest": str(evaluation.manifest),
        "normalization": list(evaluation.normalization),
        "models": {name: _model(evaluation, name) for name in evaluation.contracts},
        "systems": systems,
        "differences": [
            {**asdict(each), "interval": _interval(each.interval)}
            for each in evaluation.differences
        ],
        "results": [_result(evaluation.systems, each) for each in evaluation.utterances],
    }


def _model(evaluation: Evaluation, name: str) -> dict[str, Any]:
    contract, seconds = evaluation.contracts[name], evaluation.acoustic_s[name]
    return {
        "checkpoint": contract.checkpoint,
        "checkpoint_sha256": contract.checkpoint_sha256,
        "precision": contract.precision,
        "acoustic_s": round(seconds, 3) if seconds else None,
        "acoustic_rtfx": _rtfx(evaluation.audio_s, seconds),
        "ctc_loss": mean_loss(evaluation.utterances, name),
    }


def _system(system: System, score: Score | None, audio_s: float) -> dict[str, Any]:
    return {
        "name": system.name,
        "model": system.model,
        **_decoder(system.decoder),
        "wer": score.words.rate if score else None,
        "wer_interval": _interval(score.wer_interval) if score else None,
        "cer": score.characters.rate if score else None,
        "cer_interval": _interval(score.cer_interval) if score else None,
        "words": _counts(score.words if score else _NOTHING),
        "characters": _counts(score.characters if score else _NOTHING),
        "decoding_s": round(score.decoding_s, 3) if score else None,
        "decoding_rtfx": _rtfx(audio_s, score.decoding_s) if score else None,
    }


def _decoder(options: DecoderOptions) -> dict[str, Any]:
    if not isinstance(options, BeamOptions):
        return {"decoder": "greedy", "options": {"exact_nemo_text": options.exact_nemo_text}}
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
    }
    return {"decoder": "beam", "options": values}


def _result(systems: Sequence[System], utterance: Utterance) -> dict[str, Any]:
    return {
        "line": utterance.line,
        "name": utterance.name,
        "duration_s": round(utterance.duration_s, 3),
        "reference": utterance.reference,
        "ctc_loss": {name: _finite(loss) for name, loss in utterance.ctc_loss.items()},
        "recognized": {
            system.name: {"text": each.text, "words": _counts(each.words)}
            for system, each in zip(systems, utterance.recognized, strict=True)
        },
    }


def _counts(counts: ErrorCounts) -> dict[str, int]:
    return {**asdict(counts), "reference": counts.reference}


def _interval(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rtfx(audio_s: float, seconds: float) -> float | None:
    return round(audio_s / seconds, 2) if seconds else None
