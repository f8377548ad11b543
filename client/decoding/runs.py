"""From frames to times: which frames emit each token, and the words and confidence that makes.

Flow: the best token of each frame, or tokens with their frames from a search → ``Runs`` → words and
tokens in seconds.

A word's confidence is the geometric mean over its tokens of the highest probability that the token
has in its frames, that is e to the length-normalised log-probability of the word's best frames; the
measure of a token is ``max_prob`` in NeMo's confidence estimation (Laptev and Ginsburg, "Fast
Entropy-Based Methods of Word-Level Confidence Estimation for End-to-End Automatic Speech
Recognition", 2022). What else was tried, and how each tells right words from wrong ones, is in
``docs/decisions.md``.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..transcript import Token, Word
from ..vocabulary import Detokenizer


@dataclass(frozen=True)
class Runs:
    """Tokens in order; token ``i`` is emitted in the frames from ``starts[i]`` to ``ends[i]``.

    ``log_probs`` holds the highest log-probability of each token in its frames, where known.
    """

    tokens: list[int]
    starts: list[int]
    ends: list[int]
    log_probs: list[float] | None = None


def runs_of_best_tokens(best: NDArray[Any], blank: int) -> Runs:
    """Runs of the best token of each frame, ``int [S]``: repeats merged, blanks dropped."""
    change = np.flatnonzero(best[1:] != best[:-1]) + 1
    starts = np.concatenate(([0], change)) if len(best) else change  # of all runs, blanks' too
    ends = np.append(starts[1:], len(best))
    emitted = best[starts] != blank
    return Runs(best[starts][emitted].tolist(), starts[emitted].tolist(), ends[emitted].tolist())


def with_log_probs(runs: Runs, log_probs: NDArray[Any]) -> Runs:
    """The same runs with the tokens' highest log-probabilities, from ``log_probs [S, V]``."""
    highest = [
        float(log_probs[start:end, token].max())
        for token, start, end in zip(runs.tokens, runs.starts, runs.ends, strict=True)
    ]
    return Runs(runs.tokens, runs.starts, runs.ends, highest)


class Clock:
    """Turns runs into words and tokens with times, at one model's frame stride."""

    def __init__(self, detokenizer: Detokenizer, frame_stride_s: float) -> None:
        self._detokenizer = detokenizer
        self._stride_s = frame_stride_s

    def words(self, runs: Runs, duration_s: float) -> tuple[Word, ...]:
        """The words of the runs, none of them ending after ``duration_s``."""
        return tuple(
            Word(
                word.text,
                min(runs.starts[word.first] * self._stride_s, duration_s),
                min(runs.ends[word.last] * self._stride_s, duration_s),
                _confidence(runs, word.first, word.last + 1),
            )
            for word in self._detokenizer.words(runs.tokens)
        )

    def tokens(self, runs: Runs, duration_s: float) -> tuple[Token, ...]:
        """The tokens of the runs, as the vocabulary writes them."""
        labels = self._detokenizer.labels
        return tuple(
            Token(
                labels[token],
                min(start * self._stride_s, duration_s),
                min(end * self._stride_s, duration_s),
            )
            for token, start, end in zip(runs.tokens, runs.starts, runs.ends, strict=True)
        )


def _confidence(runs: Runs, first: int, end: int) -> float | None:
    if runs.log_probs is None:
        return None
    return min(math.exp(sum(runs.log_probs[first:end]) / (end - first)), 1.0)
