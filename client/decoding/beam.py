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
from pyctcdecode.constants import LOG_BASE_CHANGE_FACTOR
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from client.contract import LOG_PROBS, Contract
from client.decoding.language_model import load_language_model
from client.decoding.options import BeamOptions
from client.errors import DecoderError
from client.transcript import Transcript
from client.vocabulary import UNKNOWN, WORD_START, Detokenizer

_LEAST_LOG_PROB: Final = -35.0  # e^-35 is nothing, and unlike -inf it can be added up
_ROUNDING: Final = 1e-3  # of float32 or float16 above log-probability 0


class BeamDecoder:
    """Searches the best text of an utterance's ``log_probs``; close it to free the model."""

    output: Final = LOG_PROBS

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        self._options = options
        self._n_tokens = contract.blank + 1
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._search = _build(self._detokenizer, options)

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
        return Transcript(self._detokenizer.close_up(_spaced(text)))

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


def _build(detokenizer: Detokenizer, options: BeamOptions) -> BeamSearchDecoderCTC:
    labels = map(_piece, detokenizer.labels) if detokenizer.in_pieces else detokenizer.labels
    # The blank is last, and "" to pyctcdecode.
    alphabet = Alphabet([*labels, ""], is_bpe=detokenizer.in_pieces)
    if options.lm is None:
        return BeamSearchDecoderCTC(alphabet)
    loaded = load_language_model(options.lm)
    with _quiet_pyctcdecode():
        language_model = _WordModel(
            loaded.kenlm, loaded.words, alpha=options.alpha, beta=options.beta
        )
    return BeamSearchDecoderCTC(alphabet, language_model)


class _WordModel(LanguageModel):
    """A language model in which no word is no word.

    Where a hypothesis ends in a space, or is empty, pyctcdecode asks for the score of "" as its
    last word: an unknown one, with its penalty and the bonus of a word. Only the end is due.
    """

    def score(
        self,
        prev_state: Any,
        word: str,
        is_last_word: bool = False,  # noqa: FBT001, FBT002  # pyctcdecode's signature
    ) -> tuple[float, Any]:
        if word:
            return super().score(prev_state, word, is_last_word)
        end = self._get_raw_end_score(prev_state) if is_last_word else 0.0
        return self.alpha * end * LOG_BASE_CHANGE_FACTOR, prev_state


class _WordStart(str):
    """A piece ``▁`` whose last character is not taken for a mark of its own."""

    __slots__ = ()

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return "" if key == slice(-1, None) else super().__getitem__(key)


def _piece(label: str) -> str:
    """The label as pyctcdecode reads pieces, without an end of word.

    When pyctcdecode meets ``▁`` at a label's end, as in a lone ``▁``, it breaks the word of
    whichever hypothesis it extends next, the best one as a rule: "cats" becomes "ca ts".
    Raises :class:`DecoderError` for pieces of several words, which it would score as one.
    """
    if label == WORD_START:
        return _WordStart(label)
    if label == UNKNOWN:
        return WORD_START + UNKNOWN.strip()
    if WORD_START in label[1:]:
        raise DecoderError(
            f"the vocabulary has the piece {label!r} of more than one word, which beam search"
            " cannot score word by word: use greedy decoding"
        )
    return label


def _spaced(text: str) -> str:
    """An unknown piece is a word of its own, also where the next piece does not start one."""
    return " ".join(text.replace(UNKNOWN.strip(), UNKNOWN).split())


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
