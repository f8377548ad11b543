"""Word and character error rates, with the counts behind them, over a whole corpus.

The alignment is jiwer's. Texts are compared as they are, case and punctuation included; only
white space is normalised. Utterances are pooled: long ones weigh more than short ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import jiwer
import numpy as np
from numpy.typing import NDArray

_RESAMPLES: Final = 2_000


@dataclass(frozen=True)
class ErrorCounts:
    """What an alignment of hypotheses to references counts, in words or characters."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def reference(self) -> int:
        """Length of the references."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Edits from the references to the hypotheses."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors as a fraction of the reference; above 1 when much was inserted.

        Against an empty reference, the number of insertions; without utterances, 0.
        """
        return self.errors / max(self.reference, 1)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Word errors of the corpus; raises ``ValueError`` when the two differ in number."""
    return _counts(jiwer.process_words(list(references), list(hypotheses)))


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Character errors of the corpus, spaces counted; raises as :func:`word_errors` does."""
    return _counts(jiwer.process_characters(list(references), list(hypotheses)))


def errors_by_utterance(references: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.int64]:
    """Word errors and reference words of each utterance, ``[utterances, 2]``."""
    output = jiwer.process_words(list(references), list(hypotheses))
    counts = [
        (
            sum(
                max(
                    chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
                )
                for chunk in alignment
                if chunk.type != "equal"
            ),
            len(reference),
        )
        for alignment, reference in zip(output.alignments, output.references, strict=True)
    ]
    return np.array(counts, np.int64).reshape(-1, 2)


def rate_interval(by_utterance: NDArray[Any], level: float = 0.95) -> tuple[float, float]:
    """The word error rate's confidence interval, from :func:`errors_by_utterance`.

    Percentiles of the rate over utterances drawn again with replacement (Bisani and Ney, "Bootstrap
    Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP 2004), always the same
    for the same counts. Raises ``ValueError`` without utterances.
    """
    drawn = _resampled(by_utterance)  # [resamples, 2]
    return _percentiles(drawn[:, 0] / np.maximum(drawn[:, 1], 1), level)


def difference_interval(
    by_utterance: NDArray[Any], other: NDArray[Any], level: float = 0.95
) -> tuple[float, float]:
    """Interval of the first rate minus the ``other``'s, in the same draws of the same utterances.

    Where it does not hold 0, the two differ (Bisani and Ney, as above).
    """
    paired = np.column_stack((by_utterance[:, 0] - other[:, 0], by_utterance[:, 1]))
    return rate_interval(paired, level)


def _resampled(by_utterance: NDArray[Any]) -> NDArray[Any]:
    """Sums over utterances drawn with replacement, ``[resamples, 2]``."""
    rng = np.random.default_rng(0)
    count = len(by_utterance)
    draws = (rng.integers(0, count, count) for _ in range(_RESAMPLES))
    return np.array([by_utterance[draw].sum(axis=0) for draw in draws])


def _percentiles(values: NDArray[Any], level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def matched_words(reference: str, hypothesis: str) -> list[tuple[int, int]]:
    """Places of the words that are right: in the reference and in the hypothesis."""
    return [
        (match.ref_start_idx + offset, match.hyp_start_idx + offset)
        for match in jiwer.process_words(reference, hypothesis).alignments[0]
        if match.type == "equal"
        for offset in range(match.ref_end_idx - match.ref_start_idx)
    ]


def side_by_side(reference: str, hypothesis: str) -> tuple[str, str]:
    """Both texts with word above word, and ``*`` where one of them has none."""
    output = jiwer.process_words(reference, hypothesis)
    above: list[str] = []
    below: list[str] = []
    for chunk in output.alignments[0]:
        pairs = zip_longest(
            output.references[0][chunk.ref_start_idx : chunk.ref_end_idx],
            output.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx],
            fillvalue="",
        )
        for expected, found in pairs:
            width = max(len(expected), len(found))
            above.append((expected or "*" * width).ljust(width))
            below.append((found or "*" * width).ljust(width))
    return " ".join(above).rstrip(), " ".join(below).rstrip()


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> ErrorCounts:
    return ErrorCounts(output.hits, output.substitutions, output.deletions, output.insertions)
