"""The result of decoding one utterance: text, words and tokens with times, other hypotheses.

Times are in seconds from the start of the utterance. A token lasts from the first frame that emits
it to the end of the last; a word from the start of its first token to the end of its last.
"""

from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from .utils.shortened import shortened


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


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"Hypothesis({shortened(self.text)!r}, score={self.score:.2f})"


@dataclass(frozen=True, repr=False)
class Transcript:
    """The text of one utterance, as the acoustic model writes it (case, punctuation).

    ``words`` are those of ``text.split()``. ``nbest`` is best first, and empty after greedy
    decoding.
    """

    text: str
    words: tuple[Word, ...] = ()
    tokens: tuple[Token, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()

    def __repr__(self) -> str:
        return f"Transcript({shortened(self.text)!r})"

    def _repr_html_(self) -> str:
        """In notebooks: words from red, confidence 0, to green, 1, each with its times."""
        words = " ".join(map(_html_of_word, self.words)) or escape(self.text) or "(no words)"
        return f'<div style="max-height: 20em; overflow: auto">{words}</div>'


def _html_of_word(word: Word) -> str:
    title, style = f"{word.start_s:.2f} to {word.end_s:.2f} s", ""
    if word.confidence is not None:
        title += f", confidence {word.confidence:.2f}"
        style = f' style="color: #111; background: hsl({120 * word.confidence:.0f} 75% 82%)"'
    return f'<span title="{title}"{style}>{escape(word.text)}</span>'
