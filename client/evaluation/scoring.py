"""From texts to figures: errors of each utterance, rates with intervals, and differences."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.utf8 import json_text
from .decoding import TimedTranscript
from .metrics import (
    ErrorCounts,
    character_errors,
    difference_interval,
    error_table,
    p_value,
    rate_interval,
    word_errors,
)
from .normalization import normalized
from .result import Difference, Group, Interval, Recognized, Score, System, Utterance, Value


def compared(reference: str, transcript: TimedTranscript, steps: Sequence[str]) -> Recognized:
    """The transcript against the reference, both after the same normalisation."""
    expected, found = map(partial(normalized, steps=steps), (reference, transcript.text))
    return Recognized(
        transcript,
        found,
        word_errors([expected], [found]),
        character_errors([expected], [found]),
        transcript.decoding_s,
    )


def scores(systems: Sequence[System], utterances: Sequence[Utterance]) -> tuple[Score, ...]:
    """Each system over all utterances; empty without any."""
    if not utterances:
        return ()
    columns = zip(*(utterance.recognized for utterance in utterances), strict=True)
    return tuple(map(_score, systems, columns))


def groups(
    field: str, systems: Sequence[System], utterances: Sequence[Utterance]
) -> Iterator[Group]:
    """The utterances by the manifest's ``field``: numbers, then texts, then those without."""
    parts: dict[Value, list[Utterance]] = {}
    for utterance in utterances:
        parts.setdefault(_value(utterance.fields.get(field)), []).append(utterance)
    for value in sorted(parts, key=_rank):
        yield Group(field, value, len(parts[value]), scores(systems, parts[value]))


def _value(value: Any) -> Value:
    return value if value is None or isinstance(value, (str, int, float)) else json_text(value)


def _rank(value: Value) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return 0, value, ""
    return (2, 0.0, "") if value is None else (1, 0.0, value)


def _score(system: System, recognized: Sequence[Recognized]) -> Score:
    words = [each.words for each in recognized]
    characters = [each.characters for each in recognized]
    return Score(
        system=system.name,
        words=sum(words, start=ErrorCounts()),
        characters=sum(characters, start=ErrorCounts()),
        wer_interval=Interval(*rate_interval(error_table(words))),
        cer_interval=Interval(*rate_interval(error_table(characters))),
        decoding_s=sum(each.decoding_s for each in recognized),
    )


def differences(
    systems: Sequence[System], utterances: Sequence[Utterance]
) -> tuple[Difference, ...]:
    """Each system but the first against the first, over all utterances; empty without any."""
    if not utterances:
        return ()
    first, *others = (
        error_table([utterance.recognized[place].words for utterance in utterances])
        for place in range(len(systems))
    )
    return tuple(
        Difference(
            system=system.name,
            baseline=systems[0].name,
            wer=_rate(table) - _rate(first),
            interval=Interval(*difference_interval(table, first)),
            p_value=p_value(table[:, 0], first[:, 0]),
        )
        for system, table in zip(systems[1:], others, strict=True)
    )


def mean_loss(utterances: Sequence[Utterance], model: str) -> float | None:
    """The model's mean CTC loss in nats where it is finite; ``None`` where it never is."""
    losses = [utterance.ctc_loss.get(model, math.inf) for utterance in utterances]
    finite = list(filter(math.isfinite, losses))
    return sum(finite) / len(finite) if finite else None


def _rate(table: NDArray[np.int64]) -> float:
    errors, length = table.sum(axis=0)
    return float(errors / max(length, 1))
