"""Generated speech: ``log_probs`` of a CTC model with 1,024 pieces, with nothing to train or fetch.

Flow: seed → pieces, some of which sound alike → a lexicon spelled in pieces → a language in which
some words often follow others → sentences → the frames that emit each piece → probabilities. An
utterance comes from the seed and its own number alone, so it has the same bits in every run (of one
numpy on one kind of processor).

What is imitated is FastConformer-CTC on speech that is not easy for it: 1,024 SentencePiece tokens
and a blank, 80 ms a frame. How sure its frames are follows a trained model, the demo's subword
variant on AN4's test set (96 pieces, 20 ms a frame). There the log-odds of a frame's best token
have mean 5.2 and deviation 3.5 in frames that emit, 1.2 of it between utterances; in frames of
blank a tenth of them is below 8.6. A frame that emits leaves 1.7 tokens above a log-probability of
-5, one of blank 1.06. Of 1,024 pieces more sound alike, and a longer frame of blank is nearer to
emissions: here it is 2.2 tokens and 1.18.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.decoders.speech import Speech
from client.vocabulary import WORD_START
from client.wire.contract import CONTRACT_VERSION, Contract

_ONSETS: Final = (*"bcdfghjklmnprstvwz", "st", "tr", "")
_NUCLEI: Final = tuple("aeiou")
_CODAS: Final = ("", *"lnrst")
_UNKNOWN: Final = ("<unk>",)
"""First in the vocabulary, as SentencePiece has it; the model never means it."""
_LANGUAGE, _UTTERANCES, _TRAINING = range(3)  # seeds of their own
_BLOCK: Final = 1_000  # sentences made at once


@dataclass(frozen=True)
class SpeechOptions:
    """What is spoken, and how sure the model is of it. Deviations are of normal distributions."""

    seed: int = 0

    start_pieces: int = 448  # start a word
    inner_pieces: int = 575  # continue one; with ``<unk>``, 1,024 pieces in all
    words: int = 4_000  # in the lexicon; the more frequent a word, the smaller its number
    short_words: int = 350  # the most frequent, of one piece each; the others have two to four
    followers: int = 20  # words that like to follow a word
    follower_share: float = 0.7  # how often one of them does; otherwise words come by frequency
    sentence_words: tuple[int, int] = (5, 25)  # least and most

    frame_stride_s: float = 0.08
    second_frame: float = 0.15  # how often a piece is emitted in two frames, not one
    blanks_between: float = 2.0  # mean number of frames of blank before a piece (Poisson)
    blanks_around: float = 4.0  # the same before and after a sentence, on top

    certainty: tuple[float, float] = (5.2, 3.4)
    """Mean and deviation of the log-odds of a piece against all other tokens."""
    utterance_spread: float = 1.2  # deviation of that mean: some utterances are harder than others
    blank_certainty: tuple[float, float] = (10.0, 4.0)  # of the blank in frames of blank
    mistaken: float = 0.02
    """How often a piece and its greatest rival change places: the model is wrong and sure of it."""
    rivals: tuple[float, ...] = (0.75, 0.2, 0.05)
    """How what is not the token's is shared, after noise, among pieces that sound like it."""
    blank_rival: float = 0.2
    """How often the blank is the greatest rival of a piece: what makes deletions."""
    noise_share: float = 0.2  # what part of it is noise over all tokens
    noise_spread: float = 2.5  # deviation of the noise's log-probabilities: a few stand out


@dataclass(frozen=True)
class Utterance:
    """What was said, and what the model makes of it: ``float32 [S, V]``, natural logarithms."""

    text: str
    log_probs: NDArray[np.float32]


class GeneratedSpeech:
    """A language, its speaker and the acoustic model that listens."""

    def __init__(self, options: SpeechOptions | None = None) -> None:
        self.options: Final = options or SpeechOptions()
        rng = default_rng((self.options.seed, _LANGUAGE))
        pieces = _pieces(self.options, rng)
        self.contract: Final = _contract(pieces, self.options.frame_stride_s)
        self._similar = _similar(pieces, len(self.options.rivals), rng)  # [V - 1, rivals]
        self._language = _Language(self.options, rng)
        self._words = [
            "".join(self.contract.vocabulary[piece] for piece in word)[len(WORD_START) :]
            for word in self._language.lexicon
        ]

    def utterance(self, number: int) -> Utterance:
        """The utterance of this number, 0 or more."""
        rng = default_rng((self.options.seed, _UTTERANCES, number))
        (words,) = self._language.sentences(1, rng)
        pieces = np.concatenate([self._language.lexicon[word] for word in words])
        return Utterance(self._text(words), self._listen(pieces, rng))

    def first(self, count: int) -> Speech:
        """The first ``count`` utterances."""
        utterances = [self.utterance(number) for number in range(count)]
        return Speech(
            self.contract,
            [utterance.log_probs for utterance in utterances],
            [utterance.text for utterance in utterances],
        )

    def training_sentences(self, count: int, without: Collection[str]) -> list[str]:
        """Text for a language model: ``count`` sentences, none of them in ``without``."""
        rng = default_rng((self.options.seed, _TRAINING))
        found: list[str] = []
        while len(found) < count:
            texts = map(self._text, self._language.sentences(_BLOCK, rng))
            found += [text for text in texts if text not in without]
        return found[:count]

    def _text(self, words: NDArray[Any]) -> str:
        return " ".join(self._words[word] for word in words)

    def _listen(self, pieces: NDArray[Any], rng: Generator) -> NDArray[np.float32]:
        """``log_probs``, ``[S, V]``, of ``pieces``, ``int [P]``."""
        options, blank = self.options, self.contract.blank
        owners, emits = _timing(pieces, options, rng)  # [S], [S]

        heard = pieces.copy()
        rivals = rng.permuted(self._similar[pieces], axis=1)  # [P, rivals]
        rivals[rng.random(len(pieces)) < options.blank_rival, 0] = blank
        mistaken = rng.random(len(pieces)) < options.mistaken
        heard[mistaken], rivals[mistaken, 0] = rivals[mistaken, 0], pieces[mistaken]
        # A frame of blank could be of the piece beside it, or of one that sounds like that.
        beside = np.column_stack((pieces, self._similar[pieces]))[:, :-1]  # [P, rivals]

        mean, deviation = options.certainty
        mean += rng.normal(0, options.utterance_spread)
        log_odds = rng.normal(*options.blank_certainty, len(owners))  # [S]
        log_odds[emits] = rng.normal(mean, deviation, len(pieces))[owners[emits]]
        best = np.where(emits, heard[owners], blank)
        rivals = np.where(emits[:, np.newaxis], rivals[owners], beside[owners])
        return self._log_probs(best, rivals, log_odds, rng)

    def _log_probs(
        self, best: NDArray[Any], rivals: NDArray[Any], log_odds: NDArray[Any], rng: Generator
    ) -> NDArray[np.float32]:
        """``log_probs``, ``[S, V]``, of the frames' best tokens, ``[S]``, and rivals, ``[S, R]``.

        Where ``log_odds``, ``[S]``, are low enough, the first rival is better.
        """
        options, count = self.options, np.arange(len(best))
        rest = 1 / (1 + np.exp(log_odds))  # [S], the probability of all tokens but the best
        noise = np.exp(rng.normal(0, options.noise_spread, (len(rest), self.contract.blank + 1)))
        probabilities = noise * (rest * options.noise_share / noise.sum(axis=1))[:, np.newaxis]
        probabilities[count, best] += 1 - rest
        for share, rival in zip(options.rivals, rivals.T, strict=True):
            probabilities[count, rival] += rest * (1 - options.noise_share) * share
        log_probs: NDArray[np.float32] = np.log(probabilities).astype(np.float32)
        return log_probs


class _Language:
    """Words, how they are spelled in pieces, and which of them follow each other."""

    def __init__(self, options: SpeechOptions, rng: Generator) -> None:
        self._options = options
        self.lexicon: Final = _lexicon(options, rng)
        frequencies = 1 / (np.arange(options.words) + 2.7)  # Mandelbrot's form of Zipf's law
        self._frequencies = _cumulative(frequencies)
        self._shares = _cumulative(1 / np.arange(1, options.followers + 1))
        self._followers = _draw(self._frequencies, (options.words, options.followers), rng)

    def sentences(self, count: int, rng: Generator) -> list[NDArray[Any]]:
        """Sentences as numbers of words."""
        least, most = self._options.sentence_words
        word = _draw(self._frequencies, count, rng)  # [count]
        columns = [word]
        for _ in range(most - 1):
            follower = self._followers[word, _draw(self._shares, count, rng)]
            follows = rng.random(count) < self._options.follower_share
            word = np.where(follows, follower, _draw(self._frequencies, count, rng))
            columns.append(word)
        lengths = rng.integers(least, most, count, endpoint=True)
        rows = np.column_stack(columns)  # [count, most]
        return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def _pieces(options: SpeechOptions, rng: Generator) -> list[tuple[str, str, str, str]]:
    """Pieces as kind, onset, nucleus and coda of a syllable: first those that start a word."""
    syllables = list(product(_ONSETS, _NUCLEI, _CODAS))
    return [
        (start, *syllables[number])
        for start, count in ((WORD_START, options.start_pieces), ("", options.inner_pieces))
        for number in rng.permutation(len(syllables))[:count]
    ]


def _similar(
    pieces: list[tuple[str, str, str, str]], count: int, rng: Generator
) -> NDArray[np.int64]:
    """Of each token ``count`` that sound like it: all but one part of the syllable is the same."""
    parts = np.array([_UNKNOWN * 4, *pieces])  # [V - 1, 4]
    table = np.zeros((len(parts), count), np.int64)
    for token in range(len(_UNKNOWN), len(parts)):
        alike = np.flatnonzero((parts == parts[token]).sum(axis=1) == 3)
        table[token] = rng.choice(alike, count, replace=False)
    return table


def _lexicon(options: SpeechOptions, rng: Generator) -> list[NDArray[np.int64]]:
    """Each word's tokens: ``short_words`` of one token, then words of two to four."""
    starts = len(_UNKNOWN) + rng.permutation(options.start_pieces)
    words = [starts[[number]] for number in range(options.short_words)]
    inner = len(_UNKNOWN) + options.start_pieces
    while len(words) < options.words:
        more = rng.choice((1, 2, 3), p=(0.55, 0.35, 0.1))
        words.append(
            np.append(rng.choice(starts), inner + rng.integers(0, options.inner_pieces, more))
        )
    return words


def _timing(
    pieces: NDArray[Any], options: SpeechOptions, rng: Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each frame's piece, as its position in ``pieces``, and whether the frame emits it.

    A frame of blank has the position of the piece before or after it. Both are ``[S]``.
    """
    emissions = 1 + (rng.random(len(pieces)) < options.second_frame)  # [P]
    blanks = rng.poisson(options.blanks_between, len(pieces) + 1)  # [P + 1]
    blanks[[0, -1]] += rng.poisson(options.blanks_around, 2)
    blanks[1:-1] += (pieces[1:] == pieces[:-1]) & (blanks[1:-1] == 0)  # as CTC needs them
    slots = np.arange(2 * len(pieces) + 1)  # blanks, piece, blanks, piece, …, blanks
    counts = np.empty_like(slots)
    counts[::2], counts[1::2] = blanks, emissions
    slots = np.repeat(slots, counts)  # [S]
    emits = slots % 2 == 1
    before = ~emits & (rng.random(len(slots)) < 0.5)
    return np.clip(slots // 2 - before, 0, len(pieces) - 1), emits


def _contract(pieces: list[tuple[str, str, str, str]], frame_stride_s: float) -> Contract:
    vocabulary = (*_UNKNOWN, *map("".join, pieces))
    return Contract(
        version=CONTRACT_VERSION,
        audio_type="INT16",
        sample_rate_hz=16_000,
        min_samples=160,
        max_samples=16_000 * 60,
        feature_stride_s=0.01,
        frame_stride_s=frame_stride_s,
        vocabulary=vocabulary,
        vocabulary_kind="sentencepiece",
        blank=len(vocabulary),
        checkpoint="generated speech",
        checkpoint_sha256="",
        precision="fp32",
        exporter_version="",
    )


def _cumulative(weights: NDArray[Any]) -> NDArray[Any]:
    cumulative: NDArray[Any] = np.cumsum(weights) / weights.sum()
    return cumulative


def _draw(cumulative: NDArray[Any], shape: int | tuple[int, ...], rng: Generator) -> NDArray[Any]:
    """Numbers drawn by their cumulative probabilities."""
    return np.searchsorted(cumulative[:-1], rng.random(shape), side="right")
