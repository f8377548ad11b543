"""What decoding makes of one utterance: text, words and tokens with times, other hypotheses.

Times are seconds from the utterance's start. A token lasts from the frame that first emits it to
the end of its last; a word from its first token's start to its last token's end.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Token(NamedTuple):
    """A character or piece as the vocabulary writes it."""

    text: str
    start_s: float
    end_s: float


class Word(NamedTuple):
    """A word of the text; ``confidence`` is in 0 to 1, ``None`` where only tokens came."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None


@dataclass(frozen=True)
class Hypothesis:
    """One text that beam search found, with its scores in natural logarithm.

    ``acoustic_score`` is the log-probability of the text's alignments that were kept,
    ``language_model_score`` the weighted log-probability of its words with bonuses and hotwords.
    """

    text: str
    acoustic_score: float
    language_model_score: float
    words: tuple[Word, ...]

    @property
    def score(self) -> float:
        """What hypotheses are ranked by."""
        return self.acoustic_score + self.language_model_score


@dataclass(frozen=True)
class Transcript:
    """The text of one utterance, as the acoustic model writes it (case, punctuation).

    ``words`` are those of ``text.split()``. ``nbest`` is best first, and empty for greedy.
    """

    text: str
    words: tuple[Word, ...] = ()
    tokens: tuple[Token, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
