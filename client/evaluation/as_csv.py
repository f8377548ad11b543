"""An evaluation as rows for a spreadsheet: one for each utterance and system, and each failure."""

import csv
from dataclasses import asdict
from typing import Any, Final, TextIO

from .result import Evaluation, System, Utterance

_COLUMNS: Final = (
    *("line", "name", "duration_s", "system", "reference", "hypothesis", "words"),
    *("hits", "substitutions", "deletions", "insertions", "wer"),
)


def write_csv(evaluation: Evaluation, stream: TextIO) -> None:
    """Write the rows; the fields of ``EvaluationOptions.by`` are columns too."""
    by = list(dict.fromkeys(group.field for group in evaluation.groups))
    writer = csv.DictWriter(stream, [*_COLUMNS, *by, "error"], lineterminator="\n")
    writer.writeheader()
    for utterance in evaluation.utterances:
        fields = {name: utterance.fields.get(name) for name in by}
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
