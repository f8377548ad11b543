"""Reference and hypothesis, word by word: what is right, substituted, deleted and inserted."""

from enum import StrEnum
from typing import NamedTuple

from ..metrics import word_columns
from ..result import Utterance


class Kind(StrEnum):
    """What happened to a word; the page's script knows these letters."""

    RIGHT = "="
    SUBSTITUTION = "s"
    DELETION = "d"
    INSERTION = "i"


class Step(NamedTuple):
    """A word of the reference, of the hypothesis or of both; the other one is empty."""

    kind: Kind
    reference: str
    hypothesis: str


def align_words(reference: str, hypothesis: str) -> tuple[Step, ...]:
    """The alignment that the error counts of ``evaluation.metrics`` come from."""
    return tuple(
        Step(_kind(said, recognized), said, recognized)
        for said, recognized in word_columns(reference, hypothesis)
    )


def align_systems(utterance: Utterance) -> tuple[tuple[Step, ...], ...]:
    """The reference with what each system made of it, in the order of the systems."""
    return tuple(align_words(utterance.reference, each.text) for each in utterance.recognized)


def _kind(said: str, recognized: str) -> Kind:
    if said == recognized:
        return Kind.RIGHT
    if not recognized:
        return Kind.DELETION
    return Kind.SUBSTITUTION if said else Kind.INSERTION
