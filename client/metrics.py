"""Word and character error rates, with the counts behind them, over a whole corpus.

The alignment is jiwer's. Texts are compared as they are, case and punctuation included; only
white space is normalised. Utterances are pooled: long ones weigh more than short ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer


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
