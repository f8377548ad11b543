"""Hotwords: words and phrases whose hypotheses get a bonus while they are being spelled.

The bonus of a hypothesis is, for each hotword in it, the hotword's weight, and for what it is
spelling the best hotword's weight times the share of its characters so far. So a hypothesis is
helped from the first letter on, and pays back when it turns out otherwise. For single words this
is pyctcdecode's bonus; phrases are matched as phrases there not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from .options import Hotword

Matches: TypeAlias = frozenset[tuple[int, int]]
"""Phrases under way, as (hotword, words matched)."""

NO_MATCHES: Final[Matches] = frozenset()


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


class HotwordMatcher:
    """Finds hotwords in a hypothesis, word by word."""

    def __init__(self, weights: Iterable[tuple[Hotword, float]]) -> None:
        self._phrases = [
            _Phrase(tuple(hotword.text.split()), weight) for hotword, weight in weights
        ]
        self._starts = frozenset((index, 0) for index in range(len(self._phrases)))
        self.words: Final = frozenset(word for phrase in self._phrases for word in phrase.words)
        """All words of all hotwords."""

    def after(self, matches: Matches, word: str) -> tuple[float, Matches]:
        """The bonus of the hotwords that ``word`` completes, and what is under way after it."""
        if word not in self.words:
            return 0.0, NO_MATCHES
        bonus = 0.0
        under_way = set()
        for index, matched in matches | self._starts:
            phrase = self._phrases[index]
            if phrase.words[matched] != word:
                continue
            if matched + 1 == len(phrase.words):
                bonus += phrase.weight
            else:
                under_way.add((index, matched + 1))
        return bonus, frozenset(under_way)

    def credit(self, matches: Matches, beginning: str) -> float | None:
        """What the beginning of a word is worth after ``matches``; ``None`` if no hotword fits.

        ``beginning`` may be empty: then what is under way counts, without another word.
        """
        candidates = matches | self._starts if beginning else matches
        credits_ = (
            self._phrases[index].credit(matched, beginning) for index, matched in candidates
        )
        return max((credit for credit in credits_ if credit is not None), default=None)
