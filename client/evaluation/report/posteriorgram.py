"""What the acoustic model heard, frame by frame, and where the reference lies in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...decoding.alignment import align
from ...decoding.runs import Clock, Runs
from ...errors import DecoderError
from ...transcript import Word
from ...vocabulary import Detokenizer
from ...wire.contract import Contract

BLANK: Final = "blank"
_LEAST_PROBABILITY: Final = 0.1
_MOST_ROWS: Final = 32


class Mark(NamedTuple):
    """A token of the reference: in this row, from frame ``start`` to frame ``end``."""

    row: int
    start: int
    end: int


@dataclass(frozen=True)
class Posteriorgram:
    """``probabilities [rows, S]`` of the ``tokens``, in the order of their time; the blank is last.

    ``marks`` and ``words``, with times and confidences, are the forced alignment of the reference,
    empty where its tokens are not known or do not fit in the frames.
    """

    tokens: tuple[str, ...]
    probabilities: NDArray[Any]
    marks: tuple[Mark, ...]
    words: tuple[Word, ...]


def posteriorgram(
    log_probs: NDArray[Any], contract: Contract, reference: Sequence[int], duration_s: float
) -> Posteriorgram:
    """The tokens that matter in ``log_probs [S, V]``: those of the reference, and likely ones."""
    runs = _align(log_probs, reference, contract.blank)
    probabilities = np.exp(log_probs.astype(np.float32))
    rows = _rows(probabilities, runs, contract.blank)
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    place = {token: row for row, token in enumerate(rows)}
    return Posteriorgram(
        tokens=(*(_visible(detokenizer.labels[token]) for token in rows), BLANK),
        probabilities=probabilities[:, [*rows, contract.blank]].T,
        marks=tuple(
            Mark(place[token], start, end)
            for token, start, end in zip(runs.tokens, runs.starts, runs.ends, strict=True)
            if token in place
        ),
        words=Clock(detokenizer, contract.frame_stride_s).words(runs, duration_s),
    )


def _align(log_probs: NDArray[Any], tokens: Sequence[int], blank: int) -> Runs:
    try:
        return align(log_probs, tokens, blank)
    except DecoderError:
        return Runs([], [], [], [])


def _rows(probabilities: NDArray[Any], runs: Runs, blank: int) -> Sequence[int]:
    """The tokens to show, in the order in which they come."""
    likely = np.flatnonzero(probabilities.max(axis=0, initial=0) >= _LEAST_PROBABILITY)
    tokens = (set(likely.tolist()) | set(runs.tokens)) - {blank}
    weight = probabilities.sum(axis=0)
    shown = sorted(tokens, key=lambda token: -weight[token])[:_MOST_ROWS]
    first = dict(zip(reversed(runs.tokens), reversed(runs.starts), strict=True))
    return sorted(shown, key=lambda token: first.get(token, int(probabilities[:, token].argmax())))


def _visible(label: str) -> str:
    return label.replace(" ", "␣")
