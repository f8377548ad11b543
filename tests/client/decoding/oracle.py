"""The search as its definition reads: slow, in logarithms, everything computed anew.

``client.decoding`` must give the same texts, scores and frames. Nothing here is shared with it but
the vocabulary's rules, the cases of letters, and KenLM, through PyPI's ``kenlm``.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import kenlm
import numpy as np

from client.language_models.cases import letters
from client.vocabulary import Detokenizer

LEAST = -35.0
PAUSE_S = 0.7


def spans_of(detokenizer, tokens):
    """The words that tokens write, each with its first and last token.

    A mark closes up with the word before it, over any number of spaces.
    """
    written = [detokenizer.written[token] for token in tokens]
    ends = list(accumulate(map(len, written)))  # of each token in the text
    spans = []
    for match in re.finditer(r"\S+", "".join(written)):
        word, first = match[0], bisect_right(ends, match.start())
        if word[0] in detokenizer.marks and spans:
            before, first, _ = spans.pop()
            word = before + word
        spans.append((word, first, bisect_right(ends, match.end() - 1)))
    return spans


class Prefix(NamedTuple):
    """Finished words, the beginning of one more, and the last token."""

    words: tuple
    beginning: str
    token: int


class Emission(NamedTuple):
    """A token and its frames."""

    token: int
    start: int
    end: int
    log_prob: float


@dataclass
class Hypothesis:
    """Log-probabilities of the alignments that end in blank and in the last token."""

    blank: float
    token: float
    path: tuple
    heaviest: float = -math.inf  # of what came to it in this frame: its path is taken

    @property
    def total(self):
        """Of both."""
        return np.logaddexp(self.blank, self.token)


class Oracle:
    """``models`` are (``kenlm.Model``, its words, weight); options are ``BeamOptions``."""

    def __init__(self, contract, options, models=()):
        self.options, self.models, self.blank = options, models, contract.blank
        self.contract = contract
        self.detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        close_up = self.detokenizer.close_up
        self.labels = [close_up(label) for label in self.detokenizer.written]
        self.hotwords = [
            (close_up(" ".join(each.text.split())), options.weight_of(each))
            for each in options.hotwords
        ]
        self.letters = letters(options.lm_case, "".join(self.detokenizer.written))
        self.known = frozenset().union(*(words for _, words, _ in models))
        self.words_score = cache(self._words_score)
        self.beginning_score = cache(self._beginning_score)
        self.future = cache(self._future)

    def decode(self, log_probs):
        """(tokens' emissions, acoustic score, word score) of each text, best first."""
        frames = self.frames(np.asarray(log_probs, np.float32))
        beam = {Prefix((), "", -1): Hypothesis(0.0, -math.inf, ())}
        for number, (candidates, _) in enumerate(frames):
            beam = self.prune(self.advance(beam, number, candidates))
        texts = {}
        for prefix, hypothesis in beam.items():
            words = prefix.words + ((prefix.beginning,) if prefix.beginning else ())
            # Of alignments of one text the heaviest tells the times, with its words' score.
            weight = hypothesis.total + self.score(prefix)
            total, best, path = texts.get(words, (-math.inf, -math.inf, ()))
            if weight > best:
                best, path = weight, hypothesis.path
            texts[words] = np.logaddexp(total, hypothesis.total), best, path
        found = [
            (self.emissions(path, frames), total, self.words_score(words) + self.end_score(words))
            for words, (total, _, path) in texts.items()
        ]
        return sorted(found, key=lambda each: -each[1] - each[2])[: self.options.nbest]

    def frames(self, log_probs):
        """Each frame's candidates, best first, and its blank's log-probability."""
        log_probs = log_probs.copy()
        best = log_probs.argmax(axis=1)
        spaces = self.pauses(best)
        frames = []
        for number, row in enumerate(log_probs):
            if number in spaces:
                frames.append(({self.contract.vocabulary.index(" "): 0.0}, LEAST))
                continue
            tried = [t for t, p in enumerate(row) if p >= np.float32(self.options.token_min_logp)]
            tried = sorted(
                {*tried, int(best[number])}, key=lambda token: (-min(row[token], 0), token)
            )
            frames.append(
                ({t: float(np.clip(row[t], LEAST, 0)) for t in tried}, float(row[self.blank]))
            )
        return frames

    def pauses(self, best):
        """The frames that get a space: the middle of each long pause where a word may end."""
        labels, marks = self.detokenizer.labels, self.detokenizer.marks
        if self.options.exact_nemo_text or self.detokenizer.in_pieces or " " not in labels:
            return set()
        least_step = math.ceil(PAUSE_S / self.contract.frame_stride_s - 1e-6) + 1
        emitting = [number for number, token in enumerate(best) if token != self.blank]
        return {
            (before + after) // 2
            for before, after in pairwise(emitting)
            if after - before >= least_step and labels[best[after]][:1] not in marks
        }

    def advance(self, beam, number, candidates):
        """Every prefix with blank or its last token again, and with one more token.

        What is too unlikely beside the best is left out before it is summed.
        """
        stays, extensions = {}, []
        for prefix, each in beam.items():
            blank = each.total + candidates.get(self.blank, -math.inf)
            token = each.token + candidates.get(prefix.token, -math.inf)
            stays[prefix] = Hypothesis(blank, token, each.path, np.logaddexp(blank, token))
        for token, log_prob in candidates.items():
            if token == self.blank:
                continue
            for prefix, each in beam.items():
                # Twice the same token needs a blank between.
                mass = (each.blank if prefix.token == token else each.total) + log_prob
                path = (*each.path, (token, number))
                extensions.append((self.extend(prefix, token), mass, path))
        best = max(
            *(each.total + self.score(prefix) for prefix, each in stays.items()),
            *(mass + self.score(prefix) for prefix, mass, _ in extensions),
            -math.inf,
        )
        for prefix, mass, path in extensions:
            if mass + self.score(prefix) < best + self.options.beam_prune_logp:
                continue
            same = stays.setdefault(prefix, Hypothesis(-math.inf, -math.inf, ()))
            if mass > same.heaviest:
                same.path, same.heaviest = path, mass
            same.token = np.logaddexp(same.token, mass)
        return stays

    def prune(self, reached):
        """The best prefixes, one of each future."""
        scores = {prefix: each.total + self.score(prefix) for prefix, each in reached.items()}
        least = max(scores.values()) + self.options.beam_prune_logp
        kept = {}
        for prefix, score in scores.items():
            if score >= least:
                rival = kept.setdefault(self.future(prefix), prefix)
                if score > scores[rival]:
                    kept[self.future(prefix)] = prefix
        best = sorted(kept.values(), key=scores.get, reverse=True)[: self.options.beam_width]
        return {prefix: reached[prefix] for prefix in reached if prefix in set(best)}

    def extend(self, prefix, token):
        """The prefix with one more token."""
        words, beginning = prefix.words, prefix.beginning
        first, *others = re.split(r"\s", self.labels[token])
        if first[:1] in self.detokenizer.marks and first and not beginning and words:
            *words, beginning = words  # the mark closes up with the last word
        beginning += first
        for part in others:
            if beginning:
                words = (*words, beginning)
            beginning = part
        return Prefix(tuple(words), beginning, token)

    def score(self, prefix):
        """What a prefix's words and its beginning add."""
        return self.words_score(prefix.words) + self.beginning_score(prefix.words, prefix.beginning)

    def write(self, word):
        """As the language models have it."""
        if not self.letters:
            return word
        return "".join(self.letters[c][0] for c in word[:-1]) + self.letters[word[-1]][1]

    def _words_score(self, words):
        score = 0.0
        for end in range(1, len(words) + 1):
            score += sum(
                weight
                for phrase, weight in self.hotwords
                if tuple(phrase.split()) == words[max(0, end - len(phrase.split())) : end]
            )
        if not self.models:
            return score
        favoured = {w for phrase, weight in self.hotwords if weight >= 0 for w in phrase.split()}
        unknown = sum(w not in favoured and self.write(w) not in self.known for w in words)
        sentence = " ".join(map(self.write, words))
        log10 = sum(
            weight * model.score(sentence, bos=True, eos=False) for model, _, weight in self.models
        )
        log10 += self.options.unk_score_offset * unknown
        return score + self.options.alpha * math.log(10) * log10 + self.options.beta * len(words)

    def _beginning_score(self, words, beginning):
        text = " ".join((*words, beginning))
        starts = [0, *(at + 1 for at, character in enumerate(text) if character == " ")]
        credits_ = [
            weight * len(text[start:]) / len(phrase)
            for start in starts
            for phrase, weight in self.hotwords
            if weight >= 0 and text[start:] and phrase.startswith(text[start:])
        ]
        if credits_:
            return max(credits_)
        written = "".join(self.letters[c][0] for c in beginning) if self.letters else beginning
        if not beginning or not self.models or any(w.startswith(written) for w in self.known):
            return 0.0
        return self.options.unk_score_offset * max(1.0, len(beginning) / 6)

    def _future(self, prefix):
        """The same for prefixes after which everything adds the same, if that may merge them."""
        if not self.models or self.options.nbest > 1:
            return prefix
        states = []
        for model, _, _ in self.models:
            state, after = kenlm.State(), kenlm.State()
            model.BeginSentenceWrite(state)
            for word in prefix.words:
                model.BaseScore(state, self.write(word), after)
                state, after = after, kenlm.State()
            states.append(state)
        text = "".join(f"{word} " for word in prefix.words)
        starts = [0, *(at + 1 for at, character in enumerate(text) if character == " ")]
        begun = frozenset(
            text[start:]
            for start in starts
            if any(text[start:] and phrase.startswith(text[start:]) for phrase, _ in self.hotwords)
        )
        return (*states, begun, prefix.beginning, prefix.token)

    def end_score(self, words):
        """What the end of the sentence adds."""
        log10 = 0.0
        sentence = " ".join(map(self.write, words))
        for model, _, weight in self.models:
            whole, begun = (model.score(sentence, bos=True, eos=eos) for eos in (True, False))
            log10 += weight * (whole - begun)
        return self.options.alpha * math.log(10) * log10

    def emissions(self, path, frames):
        """A token goes on while it is a candidate and likelier than the blank."""
        found = []
        limits = [*(start for _, start in path), len(frames)][1:]
        for (token, start), limit in zip(path, limits, strict=True):
            end, log_probs = start + 1, [frames[start][0][token]]
            while end < limit and frames[end][0].get(token, -math.inf) > frames[end][1]:
                log_probs.append(frames[end][0][token])
                end += 1
            found.append(Emission(token, start, end, max(log_probs)))
        return found
