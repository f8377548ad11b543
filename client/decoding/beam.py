"""CTC beam search with a word n-gram language model: pyctcdecode and KenLM, without their traps.

pyctcdecode guesses: whether labels are subwords, which label is the blank, whether its input are
probabilities, whether kenlm is there, and where the unigrams are. Here each of these is said.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from pyctcdecode.alphabet import Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from client.contract import LOG_PROBS, Contract
from client.decoding.language_model import load_language_model
from client.decoding.options import BeamOptions
from client.decoding.vocabulary import UNKNOWN_WORD, WORD_START, labels
from client.errors import DecoderError
from client.transcript import Transcript

_LEAST_LOG_PROB: Final = -35.0  # e^-35 is nothing, and unlike -inf it can be added up
_ROUNDING: Final = 1e-3  # of float32 or float16 above log-probability 0


class BeamDecoder:
    """Searches the best text of an utterance's ``log_probs``; close it to free the model."""

    output: Final = LOG_PROBS

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        self._options = options
        self._n_tokens = contract.blank + 1
        self._search = _build(contract, options)

    def decode(self, posteriors: NDArray[Any]) -> Transcript:
        """Best text of ``log_probs``, ``float32 [S, V]``, natural logarithms; no frames, no text.

        Raises :class:`DecoderError` when V is not the contract's or the values are something else.
        """
        self._check(posteriors)
        if len(posteriors) == 0:
            return Transcript("")
        text = self._search.decode(
            # With no value above 0 no row sums to 1, so pyctcdecode cannot take the rows for
            # probabilities.
            np.clip(posteriors, _LEAST_LOG_PROB, 0.0),
            beam_width=self._options.beam_width,
            beam_prune_logp=self._options.beam_prune_logp,
            token_min_logp=self._options.token_min_logp,
        )
        return Transcript(text)

    def close(self) -> None:
        """Take the language model out of pyctcdecode's class-level registry."""
        self._search.cleanup()

    def _check(self, log_probs: NDArray[Any]) -> None:
        if log_probs.ndim != 2 or log_probs.shape[1] != self._n_tokens:
            raise DecoderError(
                f"log_probs have shape {log_probs.shape}, expected [frames, {self._n_tokens}] "
                "(vocabulary and blank): export the model and its contract together"
            )
        if np.isnan(log_probs).any():
            raise DecoderError("log_probs hold NaN: the model overflows, export it in fp32")
        if log_probs.size and log_probs.max() > _ROUNDING:
            raise DecoderError(
                f"log_probs reach {log_probs.max():.3g}, expected natural logarithms of "
                "probabilities (at most 0): pass log-softmax values"
            )


def _build(contract: Contract, options: BeamOptions) -> BeamSearchDecoderCTC:
    alphabet = Alphabet(
        [*map(_open_ended, labels(contract)), ""],  # the blank is last, and "" to pyctcdecode
        is_bpe=contract.vocabulary_kind == "sentencepiece",
    )
    if options.lm is None:
        return BeamSearchDecoderCTC(alphabet)
    loaded = load_language_model(options.lm)
    with _quiet_pyctcdecode():
        language_model = LanguageModel(
            loaded.kenlm, loaded.words, alpha=options.alpha, beta=options.beta
        )
    return BeamSearchDecoderCTC(alphabet, language_model)


class _WordStart(str):
    """A piece ``▁`` whose last character is not taken for a mark of its own."""

    __slots__ = ()

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return "" if key == slice(-1, None) else super().__getitem__(key)


def _open_ended(label: str) -> str:
    """The label without an end of word.

    When pyctcdecode meets ``▁`` at a label's end, as in a lone ``▁``, it breaks the word of
    whichever hypothesis it extends next, the best one as a rule: "cats" becomes "ca ts".
    """
    if label == WORD_START:
        return _WordStart(label)
    return label.removesuffix(WORD_START) if label == UNKNOWN_WORD else label


@contextmanager
def _quiet_pyctcdecode() -> Iterator[None]:
    """Hold back advice for notebooks (a small vocabulary): small ones are meant here."""
    logger = logging.getLogger("pyctcdecode")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
