"""The result of decoding one utterance: text, words and tokens with times, other hypotheses.

Times are in seconds from the start of the recording. A token lasts from the first frame that emits
it to the end of the last; a word from the start of its first token to the end of its last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
class Segment:
    """A part of a recording that was decoded by itself, and whose speech it is, where known.

    ``channel`` counts from 1. ``log_probs``, ``float32 [S, V]``, are there where the transcriber
    was asked for them.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
    channel: int | None = None
    speaker: str | None = None
    log_probs: NDArray[np.float32] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        whose = f", {self.speaker or self.channel}" if self.speaker or self.channel else ""
        return f"Segment({self.start_s:.2f} to {self.end_s:.2f} s{whose}, {shortened(self.text)!r})"


@dataclass(frozen=True, repr=False)
class Transcript:
    """The text of one recording, as the acoustic model writes it (case, punctuation).

    ``words`` are those of ``text.split()``. ``nbest`` is best first, and empty after greedy
    decoding. ``segments`` are ``None`` unless the recording was cut. Then they are in the order of
    their starts, those without words too; text, words and tokens are theirs one after the other,
    and each has an ``nbest`` of its own.
    """

    text: str
    words: tuple[Word, ...] = ()
    tokens: tuple[Token, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
    segments: tuple[Segment, ...] | None = None

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


def joined(parts: Iterable[tuple[Segment, Transcript]]) -> Transcript:
    """The transcript of a recording, from its decoded segments.

    Each ``Segment`` says where it lies and whose speech it is; text and words come from its
    transcript, whose times count from its start.
    """
    moved = sorted(
        ((segment, _moved(transcript, segment.start_s)) for segment, transcript in parts),
        key=lambda part: (part[0].start_s, part[0].channel or 0, part[0].end_s),
    )
    return Transcript(
        " ".join(text for _, each in moved if (text := each.text.strip())),
        tuple(word for _, each in moved for word in each.words),
        tuple(token for _, each in moved for token in each.tokens),
        segments=tuple(
            replace(segment, text=each.text.strip(), words=each.words, nbest=each.nbest)
            for segment, each in moved
        ),
    )


def _moved(transcript: Transcript, by_s: float) -> Transcript:
    """With all times later."""
    return replace(
        transcript,
        words=_later(transcript.words, by_s),
        tokens=_later(transcript.tokens, by_s),
        nbest=tuple(replace(each, words=_later(each.words, by_s)) for each in transcript.nbest),
    )


def _later(timed: tuple[Any, ...], by_s: float) -> tuple[Any, ...]:
    return tuple(
        each._replace(start_s=each.start_s + by_s, end_s=each.end_s + by_s) for each in timed
    )
