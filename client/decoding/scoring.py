"""What words add to a hypothesis: language model, bonus for words, hotwords.

A hypothesis is a sequence of finished words, a ``History``, and the beginning of a word. Its
score here, in natural logarithm, is

    sum over words of  alpha * ln 10 * (log10 p(word | words before) + unknown) + beta
    + the hotwords' bonus + what the beginning adds,

``unknown`` being ``unk_score_offset`` for words that are neither the language model's nor part of a
hotword. These are pyctcdecode's terms (its ``LanguageModel`` and ``HotwordScorer``), except that it
penalises unknown hotwords, and takes an empty end for a word (``docs/decisions.md``).

The bonus of a hypothesis is, for each hotword in it, the hotword's weight, and for what it is
spelling the best hotword's weight times the share of its characters so far. So a hypothesis is
helped from the first letter on, and pays back when it turns out otherwise. For single words this
is pyctcdecode's bonus; phrases are matched as phrases there not at all.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ..language_models import LanguageModel
from ..language_models.cases import CASES
from .options import BeamOptions, Hotword

Matches: TypeAlias = frozenset[tuple[int, int]]
"""Partly matched phrases, as (hotword, words matched)."""

_NO_MATCHES: Final[Matches] = frozenset()

_USUAL_WORD: Final = 6
"""Characters; the beginning of an unknown word that is longer is penalised in proportion."""
_REMEMBERED: Final = 10_000
"""Beginnings of words whose penalty is kept between utterances."""


@dataclass(slots=True, eq=False, repr=False)
class History:
    """Finished words, shared by the hypotheses that agree on them.

    ``score`` is what the words add; ``key`` is the same for histories after which everything adds
    the same; ``following`` holds the histories of one more word, so that each is scored once.
    """

    score: float
    state: Any
    matches: Matches
    key: Any = None
    following: "dict[str, History]" = field(default_factory=dict)


@dataclass(frozen=True)
class _Phrase:
    words: tuple[str, ...]
    weight: float

    def credit(self, matched: int, beginning: str) -> float | None:
        """For ``matched`` words and the beginning of one more; ``None`` if it does not fit."""
        if not self.words[matched].startswith(beginning):
            return None
        spelled = len(" ".join((*self.words[:matched], beginning)))
        return self.weight * spelled / len(" ".join(self.words))


class _Hotwords:
    """Finds hotwords in a hypothesis, word by word."""

    def __init__(self, weights: Iterable[tuple[Hotword, float]]) -> None:
        self._phrases = [
            _Phrase(tuple(hotword.text.split()), weight) for hotword, weight in weights
        ]
        self._starts = frozenset((index, 0) for index in range(len(self._phrases)))
        self.words: Final = frozenset(word for phrase in self._phrases for word in phrase.words)
        """All words of all hotwords."""

    def after(self, matches: Matches, word: str) -> tuple[float, Matches]:
        """The bonus of the hotwords that ``word`` completes, and the partly matched ones."""
        if word not in self.words:
            return 0.0, _NO_MATCHES
        bonus = 0.0
        partly = set()
        for index, matched in matches | self._starts:
            phrase = self._phrases[index]
            if phrase.words[matched] != word:
                continue
            if matched + 1 == len(phrase.words):
                bonus += phrase.weight
            else:
                partly.add((index, matched + 1))
        return bonus, frozenset(partly)

    def credit(self, matches: Matches, beginning: str) -> float | None:
        """What the beginning of a word is worth after ``matches``; ``None`` if no hotword fits.

        ``beginning`` may be empty: then only partly matched phrases count.
        """
        candidates = matches | self._starts if beginning else matches
        credits_ = (
            self._phrases[index].credit(matched, beginning) for index, matched in candidates
        )
        return max((credit for credit in credits_ if credit is not None), default=None)


class WordScorer:
    """Scores words with a language model, or without one with the hotwords alone.

    Where one text is asked for, histories that the language model cannot tell apart have the same
    key. That loses what could still have been added to the one that was worse: with several texts
    asked for, or no language model that gives reason to, each history has a key of its own.
    """

    def __init__(self, language_model: LanguageModel | None, options: BeamOptions) -> None:
        self._model = language_model.kenlm if language_model else None
        self._new_state = LanguageModel.new_state
        self._known = language_model.words if language_model else frozenset()
        self._sorted = language_model.sorted_words if language_model else []
        self._write = CASES[options.lm_case]
        self._alpha = options.alpha * math.log(10)
        self._beta = options.beta
        self._unknown = options.unk_score_offset
        self._hotwords = _Hotwords(
            (hotword, options.weight_of(hotword)) for hotword in options.hotwords
        )
        self._merge = self._model is not None and options.nbest == 1
        self._penalties: dict[str, float] = {}

    def start(self) -> History:
        """No words yet."""
        state = None
        if self._model is not None:
            state = self._new_state()
            self._model.BeginSentenceWrite(state)
        return History(0.0, state, _NO_MATCHES)

    def after(self, history: History, word: str) -> History:
        """``history`` and one more finished word."""
        known = history.following.get(word)
        if known is None:
            known = history.following[word] = self._follow(history, word)
        return known

    def beginning(self, history: History, beginning: str) -> float:
        """What the beginning of a word, maybe empty, adds after ``history``."""
        if self._hotwords.words:
            credit = self._hotwords.credit(history.matches, beginning)
            if credit is not None:
                return credit
        penalty = self._penalties.get(beginning)
        return self._penalise(beginning) if penalty is None else penalty

    def end(self, history: History) -> float:
        """What the end of the sentence adds after ``history``."""
        if self._model is None:
            return 0.0
        return float(self._alpha * self._model.BaseScore(history.state, "</s>", self._new_state()))

    def _follow(self, history: History, word: str) -> History:
        bonus, matches = self._hotwords.after(history.matches, word)
        score = history.score + bonus
        state = None
        if self._model is not None:
            state = self._new_state()
            written = self._write(word)
            log10 = self._model.BaseScore(history.state, written, state)
            if written not in self._known and word not in self._hotwords.words:
                log10 += self._unknown
            score += self._alpha * log10 + self._beta
        following = History(score, state, matches)
        following.key = (state, matches) if self._merge else following
        return following

    def _penalise(self, beginning: str) -> float:
        """The penalty of a beginning that no word of the language model has; remembers it."""
        penalty = 0.0
        if beginning and self._model is not None:
            written = self._write(beginning)
            at = bisect_left(self._sorted, written)
            if at == len(self._sorted) or not self._sorted[at].startswith(written):
                penalty = self._unknown * max(1.0, len(beginning) / _USUAL_WORD)
        if len(self._penalties) >= _REMEMBERED:
            self._penalties.clear()
        self._penalties[beginning] = penalty
        return penalty
