"""CTC prefix beam search: probabilities of texts, summed over alignments, with words scored.

For each prefix two masses are carried from frame to frame, of its alignments that end in blank and
of those that end in its last token (Hannun et al., "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1). What words add is multiplied
in where it arises, and all masses are divided by the best after each frame: so a frame costs a few
multiplications for each hypothesis, and no logarithm.

Words are those of the text as it is written: a punctuation mark after a space closes up with the
word before the space. So "a, b" and "a , b" are one text here, and its probability is their sum.

Two prefixes that end alike after histories that the scorer cannot tell apart have the same future.
Of the same text they are added up, otherwise the better one is kept (recombination). Two that end
in a space are taken for such, although a mark could still tell their last words apart.
"""

import heapq
import math
import sys
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeAlias

from ..vocabulary import Detokenizer
from .candidates import Candidates
from .options import BeamOptions
from .scoring import History, WordScorer

Path: TypeAlias = tuple[int, int, "Path | None"]
"""The last token, the frame that first emitted it, and the path before; ``None`` before any."""

_NO_TOKEN: Final = -1
_MOST_CHANGE: Final = 600.0
"""Of a score by one token, beyond which e^x leaves the range of floating point."""


@dataclass(frozen=True)
class Found:
    """A text that the search ends with: its tokens, their first frames, and its scores."""

    tokens: list[int]
    frames: list[int]
    acoustic_score: float
    word_score: float

    @property
    def score(self) -> float:
        """What texts are ranked by."""
        return self.acoustic_score + self.word_score


@dataclass(slots=True, init=False, eq=False)
class _Prefix:
    """A hypothesis: finished words, the beginning of one more, and the token it ends with.

    ``blank_mass`` and ``token_mass`` are of the frame before, ``next_…`` of this one. Set without a
    constructor: prefixes are made by the thousand, and calling one doubles the cost.
    """

    history: History
    beginning: str
    token: int
    score: float  # what the words and the beginning add
    factor: float  # e^(score - score of the prefix that this one extends)
    last_word: tuple[History, str] | None  # and what it came after; set where no beginning is
    key: object  # prefixes with the same key have the same future
    extensions: "dict[int, _Prefix]"
    step: int  # the last one that reached it
    mass: float
    blank_mass: float
    token_mass: float
    path: Path | None
    next_blank_mass: float
    next_token_mass: float
    next_path: Path | None


class PrefixSearch:
    """Searches with one scorer; ``detokenizer`` knows what each token writes."""

    def __init__(
        self, detokenizer: Detokenizer, blank: int, scorer: WordScorer, options: BeamOptions
    ) -> None:
        labels = [detokenizer.close_up(label) for label in detokenizer.written]
        self._parts = [
            (label.split(" ")[0], label.split(" ")[1:], label[:1] in detokenizer.marks)
            for label in labels
        ]
        self._blank = blank
        self._scorer = scorer
        self._width = options.beam_width
        self._least_share = math.exp(options.beam_prune_logp)
        self._nbest = options.nbest

    def run(self, candidates: Candidates) -> list[Found]:
        """The best texts, best first: at least one, at most ``nbest``."""
        beam = [self._root()]
        log_scale = candidates.collapsed_logp
        pairs = list(zip(candidates.tokens, candidates.probabilities, strict=True))
        steps = zip(candidates.frames, candidates.starts[:-1], candidates.starts[1:], strict=True)
        for step, (frame, first, end) in enumerate(steps):
            if end - first == 1 and pairs[first][0] == self._blank:
                for prefix in beam:
                    prefix.blank_mass, prefix.token_mass = prefix.mass, 0.0
                continue
            reached = self._advance(beam, step, frame, pairs[first:end])
            beam, best = self._prune(reached)
            log_scale += math.log(best)
        return self._finish(beam, log_scale)

    def _root(self) -> _Prefix:
        root = _Prefix()
        root.history, root.beginning, root.token = self._scorer.start(), "", _NO_TOKEN
        root.score, root.key, root.extensions, root.step, root.path = 0.0, None, {}, -1, None
        root.last_word = None
        root.mass = root.blank_mass = 1.0
        root.token_mass = 0.0
        return root

    def _advance(
        self, beam: list[_Prefix], step: int, frame: int, tried: list[tuple[int, float]]
    ) -> list[_Prefix]:
        """What the beam's prefixes become in this frame, with their next masses."""
        probabilities = dict(tried)
        blank_probability = probabilities.pop(self._blank, 0.0)
        reached = beam.copy()
        # What ends below it will be pruned: the best prefix has mass 1, and may go on with blank.
        share = self._least_share
        least = blank_probability * share
        for prefix in beam:
            prefix.next_blank_mass = prefix.mass * blank_probability
            prefix.next_token_mass = prefix.token_mass * probabilities.get(prefix.token, 0.0)
            prefix.next_path = prefix.path
            prefix.step = step
        for token, probability in probabilities.items():
            for prefix in beam:
                # Twice the same token needs a blank between.
                mass = prefix.blank_mass if prefix.token == token else prefix.mass
                if not mass:
                    continue
                mass *= probability
                extension = prefix.extensions.get(token)
                if extension is None:
                    extension = self._extend(prefix, token, mass, least)
                    if extension is None:
                        continue
                mass *= extension.factor
                if extension.step != step:
                    if mass * share > least:  # noqa: PLR1730  # a call of max costs more than that
                        least = mass * share
                    extension.step = step
                    extension.next_blank_mass = 0.0
                    extension.next_token_mass = mass
                    extension.next_path = (token, frame, prefix.path)
                    reached.append(extension)
                else:
                    if mass > extension.next_blank_mass + extension.next_token_mass:
                        extension.next_path = (token, frame, prefix.path)
                    extension.next_token_mass += mass
        return reached

    def _prune(self, reached: list[_Prefix]) -> tuple[list[_Prefix], float]:
        """The prefixes worth going on with, scaled so that the best mass, returned too, is 1."""
        best = 0.0
        for prefix in reached:
            prefix.mass = mass = prefix.next_blank_mass + prefix.next_token_mass
            if mass > best:  # noqa: PLR1730  # a call of max costs more than all else here
                best = mass
        least = max(best * self._least_share, sys.float_info.min)
        kept: dict[object, _Prefix] = {}
        for prefix in reached:
            if prefix.mass >= least:
                rival = kept.setdefault(prefix.key, prefix)
                if rival is not prefix:
                    kept[prefix.key] = _recombined(rival, prefix)
        beam = list(kept.values())
        if len(beam) > self._width:
            beam = heapq.nlargest(self._width, beam, key=attrgetter("mass"))
        for prefix in beam:
            prefix.mass /= best
            prefix.blank_mass = prefix.next_blank_mass / best
            prefix.token_mass = prefix.next_token_mass / best
            prefix.path = prefix.next_path
        return beam, best

    def _extend(self, prefix: _Prefix, token: int, mass: float, least: float) -> _Prefix | None:
        """``prefix`` with one more token, unless its words make less than ``least`` of ``mass``."""
        first, others, is_mark = self._parts[token]
        history, beginning = prefix.history, prefix.beginning
        if is_mark and not beginning and prefix.last_word is not None:
            history, beginning = prefix.last_word  # which goes on
        beginning += first
        last_word = None
        for part in others:
            if beginning:
                last_word = history, beginning
                history = history.following.get(beginning) or self._scorer.after(history, beginning)
            beginning = part
        score = history.score + self._scorer.beginning(history, beginning)
        change = score - prefix.score
        if not -_MOST_CHANGE < change < _MOST_CHANGE:  # what is left out is made up for by the next
            change = math.copysign(_MOST_CHANGE, change)
            score = prefix.score + change
        factor = math.exp(change)
        if mass * factor < least:
            return None
        extension = _Prefix()
        extension.history, extension.beginning, extension.token = history, beginning, token
        extension.score, extension.factor = score, factor
        extension.key = (history.key, beginning, token)
        if not beginning:
            extension.last_word = last_word or prefix.last_word
        extension.extensions = {}
        extension.step = -1
        prefix.extensions[token] = extension
        return extension

    def _finish(self, beam: list[_Prefix], log_scale: float) -> list[Found]:
        """End the last word and the sentence, and add up what became the same text."""
        ended: dict[History, tuple[float, _Prefix]] = {}
        for prefix in beam:
            history = prefix.history
            if prefix.beginning:
                history = self._scorer.after(history, prefix.beginning)
            acoustic = math.log(prefix.mass) - prefix.score
            if history in ended:
                other, rival = ended[history]
                acoustic = max(acoustic, other) + math.log1p(math.exp(-abs(acoustic - other)))
                prefix = max(prefix, rival, key=attrgetter("mass"))  # noqa: PLW2901
            ended[history] = (acoustic, prefix)
        found = [
            Found(
                *_tokens(prefix.path),
                log_scale + acoustic,
                history.score + self._scorer.end(history),
            )
            for history, (acoustic, prefix) in ended.items()
        ]
        return heapq.nlargest(self._nbest, found, key=attrgetter("score"))


def _recombined(first: _Prefix, second: _Prefix) -> _Prefix:
    """The better of two with the same future, with the mass of both if their texts are the same."""
    better, worse = (first, second) if first.mass >= second.mass else (second, first)
    if better.history is worse.history:
        better.next_blank_mass += worse.next_blank_mass
        better.next_token_mass += worse.next_token_mass
        better.mass += worse.mass
    return better


def _tokens(path: Path | None) -> tuple[list[int], list[int]]:
    tokens: list[int] = []
    frames: list[int] = []
    while path is not None:
        token, frame, path = path
        tokens.append(token)
        frames.append(frame)
    return tokens[::-1], frames[::-1]
