"""Word and character error rates, with the counts behind them, and whether two of them differ.

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

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Word errors of the corpus; raises ``ValueError`` when the two differ in number."""
    return _counts(_aligned(references, hypotheses))


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Character errors of the corpus, spaces counted; raises as ``word_errors`` does."""
    return _counts(jiwer.process_characters(list(references), list(hypotheses)))


def errors_by_utterance(references: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.int64]:
    """Word errors and reference words of each utterance, ``[utterances, 2]``."""
    output = _aligned(references, hypotheses)
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
    """The word error rate's confidence interval, from ``errors_by_utterance``.

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


def p_value(errors: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """How likely a difference at least as large is by chance, two-sided; both ``[utterances]``.

    If two systems are equally good, whose errors are whose is chance in each utterance: all ways
    of exchanging them are equally likely (Fisher's paired permutation test, "The Design of
    Experiments", 1935; known as approximate randomisation where the ways are sampled). They are not
    sampled here but all counted, with the distribution of the sum extended utterance by utterance
    (Pagano and Tritchler, "On Obtaining Permutation Distributions in Polynomial Time", 1983).
    """
    differences = errors - other
    steps = np.abs(differences[differences != 0])
    middle = int(steps.sum())  # the place of sum 0
    likelihood = np.zeros(2 * middle + 1)  # of each sum from -middle to middle
    likelihood[middle] = 1.0
    reach = 0
    for step in steps:
        reach += int(step)
        reachable = likelihood[middle - reach : middle + reach + 1]
        before = reachable[step : len(reachable) - step].copy()
        reachable[:] = 0.0
        reachable[: len(before)] += before / 2
        reachable[2 * step :] += before / 2
    observed = abs(int(differences.sum()))
    at_least = np.abs(np.arange(-middle, middle + 1)) >= observed
    return min(1.0, float(likelihood[at_least].sum()))


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
        for match in _aligned([reference], [hypothesis]).alignments[0]
        if match.type == "equal"
        for offset in range(match.ref_end_idx - match.ref_start_idx)
    ]


def word_columns(reference: str, *hypotheses: str) -> list[tuple[str, ...]]:
    """The words that belong together, reference first; empty where one of them has none."""
    rows = [_placed(reference, hypothesis) for hypothesis in hypotheses]
    columns: list[tuple[str, ...]] = []
    for place, word in enumerate([*reference.split(), ""]):
        inserted = zip_longest(*(row.inserted[place] for row in rows), fillvalue="")
        columns.extend(("", *words) for words in inserted)
        if word:
            columns.append((word, *(row.aligned[place] for row in rows)))
    return columns


def side_by_side(reference: str, *hypotheses: str) -> tuple[str, ...]:
    """All texts with word above word, and ``*`` where one of them has none."""
    return lines_of(word_columns(reference, *hypotheses), 1 + len(hypotheses))


def lines_of(columns: Sequence[tuple[str, ...]], number: int) -> tuple[str, ...]:
    """The ``number`` texts of ``word_columns``, as ``side_by_side`` writes them."""
    widths = [max(map(len, column)) for column in columns]
    return tuple(
        " ".join(
            (column[text] or "*" * width).ljust(width)
            for column, width in zip(columns, widths, strict=True)
        ).rstrip()
        for text in range(number)
    )


@dataclass(frozen=True)
class _Placed:
    """A hypothesis's words: for each of the reference, and inserted before each and at the end."""

    aligned: list[str]
    inserted: list[list[str]]


def _placed(reference: str, hypothesis: str) -> _Placed:
    output = _aligned([reference], [hypothesis])
    words, found = output.references[0], output.hypotheses[0]
    placed = _Placed([""] * len(words), [[] for _ in range(len(words) + 1)])
    for chunk in output.alignments[0]:
        those = found[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "insert":
            placed.inserted[chunk.ref_start_idx].extend(those)
        elif chunk.type != "delete":
            placed.aligned[chunk.ref_start_idx : chunk.ref_end_idx] = those
    return placed


def _aligned(references: Sequence[str], hypotheses: Sequence[str]) -> jiwer.WordOutput:
    """The alignment of words; jiwer splits at spaces alone, and would take a tab for a letter."""
    return jiwer.process_words(
        [" ".join(text.split()) for text in references],
        [" ".join(text.split()) for text in hypotheses],
    )


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> ErrorCounts:
    return ErrorCounts(output.hits, output.substitutions, output.deletions, output.insertions)
