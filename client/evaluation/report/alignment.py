"""Reference and hypothesis, word by word: right, substituted, deleted or inserted, and when."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from typing import NamedTuple

from ...transcript import Word
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


def timed_words(spoken: Sequence[Word], compared: Sequence[str]) -> list[Word | None]:
    """The time of each word that was ``compared``, where letters of ``spoken`` words are in it."""
    if len(spoken) == len(compared):
        return list(spoken)
    found: list[Word | None] = [None] * len(compared)
    before = [word.text.lower() for word in spoken]
    after = [word.lower() for word in compared]
    for tag, start, end, to_start, to_end in _matcher(before, after).get_opcodes():
        if tag == "equal":
            found[to_start:to_end] = spoken[start:end]
        elif tag == "replace":
            found[to_start:to_end] = _by_letters(spoken[start:end], after[to_start:to_end])
    return found


def _by_letters(spoken: Sequence[Word], compared: Sequence[str]) -> list[Word | None]:
    """From the first to the last spoken word that shares letters with the one compared."""
    before, owners = _letters([word.text.lower() for word in spoken])
    after, takers = _letters(compared)
    shared: list[list[Word]] = [[] for _ in compared]
    for start, to_start, length in _matcher(before, after).get_matching_blocks():
        for offset in range(length):
            shared[takers[to_start + offset]].append(spoken[owners[start + offset]])
    return [
        words[0]._replace(text=text, end_s=words[-1].end_s) if words else None
        for text, words in zip(compared, shared, strict=True)
    ]


def _letters(words: Sequence[str]) -> tuple[str, list[int]]:
    """All letters, and the place of the word of each."""
    return "".join(words), [place for place, word in enumerate(words) for _ in word]


def _matcher(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, before, after, autojunk=False)
