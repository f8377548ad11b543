"""From texts to figures: errors of each utterance, rates with intervals, and differences."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..transcript import Transcript
from .metrics import (
    ErrorCounts,
    character_errors,
    difference_interval,
    p_value,
    rate_interval,
    word_errors,
)
from .normalization import normalized
from .result import Difference, Interval, Recognized, Score, System, Utterance

_NONE = ErrorCounts(0, 0, 0, 0)


def compared(reference: str, transcript: Transcript, steps: Sequence[str]) -> Recognized:
    """The transcript against the reference, both after the same normalisation."""
    expected, found = map(partial(normalized, steps=steps), (reference, transcript.text))
    return Recognized(
        transcript,
        found,
        word_errors([expected], [found]),
        character_errors([expected], [found]),
    )


def score(system: System, place: int, utterances: Sequence[Utterance], decoding_s: float) -> Score:
    """The system at this place over all utterances, of which there is at least one."""
    words = [utterance.recognized[place].words for utterance in utterances]
    characters = [utterance.recognized[place].characters for utterance in utterances]
    return Score(
        system=system.name,
        words=sum(words, start=_NONE),
        characters=sum(characters, start=_NONE),
        wer_interval=Interval(*rate_interval(_table(words))),
        cer_interval=Interval(*rate_interval(_table(characters))),
        decoding_s=decoding_s,
    )


def differences(
    systems: Sequence[System], utterances: Sequence[Utterance]
) -> tuple[Difference, ...]:
    """Each system but the first against the first, over all utterances, at least one."""
    first, *others = (
        _table([utterance.recognized[place].words for utterance in utterances])
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


def _table(counts: Sequence[ErrorCounts]) -> NDArray[np.int64]:
    """Errors and length of the reference of each utterance, ``[utterances, 2]``."""
    return np.array([(each.errors, each.reference) for each in counts], np.int64)


def _rate(table: NDArray[np.int64]) -> float:
    errors, length = table.sum(axis=0)
    return float(errors / max(length, 1))
