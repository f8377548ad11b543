"""An evaluation for machines: as JSON, and as rows of CSV for a spreadsheet.

In JSON with a single system, its rates stand at the top too, as scripts for one system read them.
What has no number (a rate without utterances, an infinite loss) is ``null``. In CSV there is a row
for each utterance and system, and for each failure.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TextIO

from ..decoding import DecoderOptions, GreedyOptions
from .metrics import ErrorCounts
from .result import Evaluation, Group, Interval, Score, System, Utterance
from .scoring import mean_loss


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
        "groups": [_group(evaluation.systems, each) for each in evaluation.groups],
        "results": [_result(evaluation.systems, each) for each in evaluation.utterances],
    }


def _group(systems: Sequence[System], group: Group) -> dict[str, Any]:
    return {
        "field": group.field,
        "value": group.value,
        "utterances": group.utterances,
        "systems": [
            {"name": system.name, **_rates(score)}
            for system, score in zip(systems, group.scores, strict=True)
        ],
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
        **_origin(system),
        **_rates(score),
        "decoding_s": round(score.decoding_s, 3) if score else None,
        "decoding_rtfx": _rtfx(audio_s, score.decoding_s) if score else None,
    }


def _rates(score: Score | None) -> dict[str, Any]:
    return {
        "wer": score.words.rate if score else None,
        "wer_interval": _interval(score.wer_interval) if score else None,
        "cer": score.characters.rate if score else None,
        "cer_interval": _interval(score.cer_interval) if score else None,
        "words": _counts(score.words if score else ErrorCounts()),
        "characters": _counts(score.characters if score else ErrorCounts()),
    }


def _origin(system: System) -> dict[str, Any]:
    """Where the system's texts come from."""
    if system.scored:
        return {"scored": str(system.scored.path), "field": system.scored.field}
    return {"model": system.model, **_decoder(system.decoder)}


def _decoder(options: DecoderOptions) -> dict[str, Any]:
    if isinstance(options, GreedyOptions):
        return {"decoder": options.name, "options": {"exact_nemo_text": options.exact_nemo_text}}
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
    }
    if isinstance(options.lm, tuple):
        values["lm"] = [asdict(each) | {"path": str(each.path)} for each in options.lm]
    return {"decoder": options.name, "options": values}


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


_COLUMNS: Final = (
    *("line", "name", "duration_s", "system", "reference", "hypothesis", "words"),
    *("hits", "substitutions", "deletions", "insertions", "wer"),
)


def write_csv(evaluation: Evaluation, stream: TextIO) -> None:
    """Write the rows; the fields of ``EvaluationOptions.by`` are columns too.

    A field that is called as a column is written with ``by_`` before its name.
    """
    own = (*_COLUMNS, "error")
    by = {
        group.field: f"by_{group.field}" if group.field in own else group.field
        for group in evaluation.groups
    }
    writer = csv.DictWriter(stream, [*_COLUMNS, *by.values(), "error"], lineterminator="\n")
    writer.writeheader()
    for utterance in evaluation.utterances:
        fields = {column: utterance.fields.get(name) for name, column in by.items()}
        for place, system in enumerate(evaluation.systems):
            writer.writerow({**fields, **_row(utterance, system, place)})
    writer.writerows(asdict(failure) for failure in evaluation.failures)


def _row(utterance: Utterance, system: System, place: int) -> dict[str, Any]:
    recognized = utterance.recognized[place]
    return {
        "line": utterance.line,
        "name": utterance.name,
        "duration_s": round(utterance.duration_s, 3),
        "system": system.name,
        "reference": utterance.reference,
        "hypothesis": recognized.text,
        "words": recognized.words.reference,
        **asdict(recognized.words),
        "wer": round(recognized.words.rate, 6),
    }
