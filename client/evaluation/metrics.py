"""Word and character error rates, with the counts behind them, and whether two of them differ.

The alignment is jiwer's. Texts are compared as they are, case and punctuation included; only
white space is normalised. Utterances are pooled: long ones weigh more than short ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..utils.extras import import_extra

if TYPE_CHECKING:
    import jiwer

_RESAMPLES: Final = 2_000
_PERCENTILES: Final = (0.025, 0.975)


@dataclass(frozen=True)
class ErrorCounts:
    """What an alignment of hypotheses to references counts, in words or characters."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

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
    return _counts(_jiwer().process_characters(list(references), list(hypotheses)))


def errors_by_utterance(references: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.int64]:
    """Word errors and reference words of each utterance, ``[utterances, 2]``."""
    pairs = zip(references, hypotheses, strict=True)
    return error_table([word_errors([reference], [hypothesis]) for reference, hypothesis in pairs])


def error_table(counts: Sequence[ErrorCounts]) -> NDArray[np.int64]:
    """Errors and length of the reference of each utterance, ``[utterances, 2]``."""
    return np.array([(each.errors, each.reference) for each in counts], np.int64).reshape(-1, 2)


def rate_interval(by_utterance: NDArray[Any]) -> tuple[float, float]:
    """The error rate's 95 % confidence interval, from an ``error_table``.

    Percentiles of the rate over utterances drawn again with replacement (Bisani and Ney, "Bootstrap
    Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP 2004), always the same
    for the same counts. Raises ``ValueError`` without utterances.
    """
    rng = np.random.default_rng(0)
    count = len(by_utterance)
    draws = (rng.integers(0, count, count) for _ in range(_RESAMPLES))
    drawn = np.array([by_utterance[draw].sum(axis=0) for draw in draws])  # [resamples, 2]
    low, high = np.quantile(drawn[:, 0] / np.maximum(drawn[:, 1], 1), _PERCENTILES)
    return float(low), float(high)


def difference_interval(by_utterance: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Interval of the first rate minus the ``other``'s, in the same draws of the same utterances.

    Where it does not hold 0, the two differ (Bisani and Ney, as above).
    """
    paired = np.column_stack((by_utterance[:, 0] - other[:, 0], by_utterance[:, 1]))
    return rate_interval(paired)


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


def lines_of(columns: Sequence[tuple[str, ...]], number: int) -> tuple[str, ...]:
    """The ``number`` texts of ``word_columns``, word above word, ``*`` where one has none."""
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


def _aligned(references: Sequence[str], hypotheses: Sequence[str]) -> "jiwer.WordOutput":
    """The alignment of words; jiwer splits at spaces alone, and would take a tab for a letter."""
    words: jiwer.WordOutput = _jiwer().process_words(
        [" ".join(text.split()) for text in references],
        [" ".join(text.split()) for text in hypotheses],
    )
    return words


def _jiwer() -> Any:
    return import_extra("jiwer", "evaluate", "counting errors")


def _counts(output: "jiwer.WordOutput | jiwer.CharacterOutput") -> ErrorCounts:
    return ErrorCounts(output.hits, output.substitutions, output.deletions, output.insertions)
