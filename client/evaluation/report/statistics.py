"""What goes wrong most: which words for which others, in utterances of what length, where alone."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..result import Utterance
from .alignment import Kind, Step

Alignments: TypeAlias = Sequence[Sequence[Sequence[Step]]]
"""Of each utterance, of each system."""

_BINS: Final = 5


@dataclass(frozen=True)
class Tally:
    """How often each system did something: with ``reference``, by ``hypothesis``, as far as set.

    ``occurrences`` is how often the word occurs in the references, where that is of interest.
    """

    reference: str
    hypothesis: str
    counts: tuple[int, ...]
    occurrences: int = 0


@dataclass(frozen=True)
class DurationBin:
    """Utterances of like length: reference words, and each system's word errors.

    ``lengths`` are from the shortest to the longest, in ``unit``, ``s`` or ``min``.
    """

    lengths: str
    unit: str
    utterances: int
    words: int
    errors: tuple[int, ...]


@dataclass(frozen=True)
class Disagreement:
    """Utterances by who is right; ``fewer[i][j]``: those where system i errs less than system j."""

    all_right: int
    some_right: int
    none_right: int
    different_texts: int
    fewer: tuple[tuple[int, ...], ...]


def errors_of(kind: Kind, alignments: Alignments) -> list[Tally]:
    """Words that were substituted, deleted or inserted, most frequent first."""
    return _tallies(
        alignments, lambda step: (step.reference, step.hypothesis) if step.kind == kind else None
    )


def wrong_words(alignments: Alignments) -> list[Tally]:
    """Words that were said and not recognised, or as others; with how often they were said."""
    said = Counter(
        step.reference for systems in alignments for step in (systems[0] if systems else ())
        if step.kind != Kind.INSERTION
    )  # fmt: skip
    wrong = _tallies(
        alignments,
        lambda step: (
            (step.reference, "") if step.kind in (Kind.SUBSTITUTION, Kind.DELETION) else None
        ),
    )
    return [Tally(each.reference, "", each.counts, said[each.reference]) for each in wrong]


def duration_bins(utterances: Sequence[Utterance]) -> list[DurationBin]:
    """About as many utterances in each bin, shortest first; none where no length is known."""
    exact_s = np.array([utterance.duration_s for utterance in utterances])
    if not exact_s.any():
        return []
    longest_s = exact_s.max()
    unit, unit_s = ("s", 1) if longest_s < 1000 else ("min", 60)
    digits = 1 if longest_s < 100 else 0
    lengths = (exact_s / unit_s).round(digits)  # of the same length are those with the same label
    parts = np.array_split(np.sort(lengths), min(_BINS, len(lengths)))
    edges = np.unique([part[0] for part in parts])
    places = np.searchsorted(edges, lengths, side="right") - 1  # [utterances]: the bin of each
    bins = []
    for place in range(len(edges)):
        inside = np.flatnonzero(places == place)
        ends = sorted({lengths[inside].min(), lengths[inside].max()})
        label = "\N{EN DASH}".join(f"{end:.{digits}f}" for end in ends)
        bins.append(_bin(label, unit, [utterances[each] for each in inside]))
    return bins


def disagreement(utterances: Sequence[Utterance]) -> Disagreement:
    """Who is right where."""
    errors = np.array(
        [[each.words.errors for each in utterance.recognized] for utterance in utterances], int
    )  # [utterances, systems]
    right = (errors == 0).sum(axis=1) if errors.size else np.zeros(0, int)
    n_systems = errors.shape[1] if errors.ndim == 2 else 0
    return Disagreement(
        all_right=int((right == n_systems).sum()),
        some_right=int(((right > 0) & (right < n_systems)).sum()),
        none_right=int((right == 0).sum()),
        different_texts=sum(
            len({each.text for each in utterance.recognized}) > 1 for utterance in utterances
        ),
        fewer=_fewer(errors, n_systems),
    )


def _fewer(errors: NDArray[np.int_], n_systems: int) -> tuple[tuple[int, ...], ...]:
    systems = range(n_systems)
    return tuple(
        tuple(int((errors[:, one] < errors[:, other]).sum()) for other in systems)
        for one in systems
    )


def _bin(lengths: str, unit: str, utterances: Sequence[Utterance]) -> DurationBin:
    recognized = zip(*(utterance.recognized for utterance in utterances), strict=True)
    return DurationBin(
        lengths,
        unit,
        len(utterances),
        sum(utterance.recognized[0].words.reference for utterance in utterances),
        tuple(sum(each.words.errors for each in system) for system in recognized),
    )


def _tallies(alignments: Alignments, key: Callable[[Step], tuple[str, str] | None]) -> list[Tally]:
    """Steps that have the same ``key``, counted by system; those without any are left out."""
    counters = [
        Counter(found for alignment in system for step in alignment if (found := key(step)))
        for system in zip(*alignments, strict=True)
    ]
    total = sum(counters, Counter[tuple[str, str]]())
    ordered = sorted(total, key=lambda words: (-total[words], words))
    return [Tally(*words, tuple(counter[words] for counter in counters)) for words in ordered]
