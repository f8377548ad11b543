"""What words add to a hypothesis: language model, bonus for words, hotwords.

A hypothesis is a sequence of finished words, a ``History``, and the beginning of a word. Its
score here, in natural logarithm, is

    sum over words of  alpha * ln 10 * (log10 p(word | words before) + unknown) + beta
    + the hotwords' bonus + what the beginning adds,

``unknown`` being ``unk_score_offset`` for words that are neither the language model's nor part of a
hotword. These are pyctcdecode's terms (its ``LanguageModel`` and ``HotwordScorer``), except that it
penalises unknown hotwords, and takes an empty end for a word (``docs/decisions.md``).
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

from ..language_models import LanguageModel
from ..language_models.cases import CASES
from .hotwords import NO_MATCHES, HotwordMatcher, Matches
from .options import BeamOptions

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
        self._hotwords = HotwordMatcher(
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
        return History(0.0, state, NO_MATCHES)

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
