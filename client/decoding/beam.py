"""CTC beam search with words scored: from one utterance's ``log_probs`` to texts.

Flow: ``log_probs [S, V]`` or the best tokens of each frame → the search, in C++ (``native``) →
tokens with the frames that emitted them → text, words with times and confidence, other hypotheses.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DecoderError
from ..language_models import LanguageModel
from ..transcript import Hypothesis, Token, Transcript, Word
from ..vocabulary import Detokenizer
from ..wire.contract import Contract
from ..wire.top_tokens import beam_output, is_top
from .log_probs import check_shape
from .native import make_decoder
from .options import BeamOptions

_LAYOUT: Final = ("C_CONTIGUOUS", "ALIGNED")
_WORD: Final = partial(tuple.__new__, Word)
"""Makes one of a tuple of its fields, at half the cost of calling it."""


class Partial(NamedTuple):
    """The best ``text`` so far, and its ``stable`` beginning, which is never taken back."""

    text: str
    stable: str


class BeamDecoder:
    """Searches the best text of an utterance's ``log_probs``; safe to share between threads.

    ``language_models`` are those of ``options.lm``, already loaded. Raises ``DecoderError`` for a
    language model that cannot be used: it is damaged, or the acoustic model can write none of its
    words; and ``MissingPackage`` where the search is not installed.
    """

    def __init__(
        self,
        contract: Contract,
        options: BeamOptions,
        language_models: tuple[LanguageModel, ...] = (),
    ) -> None:
        self.output: Final = beam_output(contract, options.token_min_logp)
        self._stride_s = contract.frame_stride_s
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._decoder = make_decoder(contract, self._detokenizer, options, language_models)

    def decode(self, outputs: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Texts of ``log_probs [S, V]``, natural logarithms, or of the best tokens ``[S, K]``.

        No frames, no text. What the best tokens lack, the search does not try.

        Raises ``DecoderError`` when V is not the contract's or the values are something else.
        """
        outputs = _checked(outputs, self._detokenizer)
        with _told():
            found = self._decoder.decode(outputs, self._stride_s, duration_s)
        return _transcript(found, self._detokenizer)

    def start(self) -> "BeamSearch":
        """Begin the search of an utterance whose outputs come in pieces."""
        return BeamSearch(self._decoder.start(), self._detokenizer, self._stride_s)

    def close(self) -> None:
        """Nothing to release: the language models go with the decoder."""


class BeamSearch:
    """The search of one utterance, for one thread at a time.

    In pieces of any size it gives the transcript of the whole. Memory grows by the tokens that were
    found, and by the frames of a pause until it ends. All methods raise ``DecoderError`` after
    ``finish``, after outputs that are no ``log_probs``, and while another thread is in one of them.
    """

    def __init__(self, native: Any, detokenizer: Detokenizer, stride_s: float) -> None:
        self._held = [native]
        self._detokenizer = detokenizer
        self._stride_s = stride_s

    def advance(self, outputs: NDArray[Any]) -> None:
        """Search the next frames; takes and raises what ``BeamDecoder.decode`` does."""
        outputs = _checked(outputs, self._detokenizer)
        with self._lent() as native, _told():
            native.advance(outputs)

    def partial(self) -> Partial:
        """The best text of the frames so far. Words at its end may be unfinished."""
        with self._lent() as native:
            return Partial(*native.partial())

    def copy(self) -> "BeamSearch":
        """A search that goes on by itself from here."""
        with self._lent() as native:
            copy = native.copy()
        return BeamSearch(copy, self._detokenizer, self._stride_s)

    __copy__ = copy

    def finish(self, duration_s: float = math.inf) -> Transcript:
        """End the search; no word ends after ``duration_s``."""
        return _transcript(self._take().finish(self._stride_s, duration_s), self._detokenizer)

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """The search, which is put back if what is done with it goes well."""
        native = self._take()
        yield native
        self._held.append(native)

    def _take(self) -> Any:
        """The search, out of the reach of other threads: it frees them, and two would crash it."""
        try:
            return self._held.pop()
        except IndexError:
            raise DecoderError(
                "this search has ended, or another thread is in it: start one for each utterance"
            ) from None


def _checked(outputs: NDArray[Any], detokenizer: Detokenizer) -> NDArray[Any]:
    """As the search takes them: ``float32 [S, V]``, or ``int32 [S, K, 2]`` of best tokens."""
    if is_top(outputs):
        if outputs.ndim != 2:
            raise DecoderError(f"best tokens have shape {outputs.shape}, expected [frames, K]")
        top = np.require(outputs, requirements=_LAYOUT).view(np.int32)
        return top.reshape(*outputs.shape, 2)
    check_shape(outputs, len(detokenizer.labels) + 1)
    return np.require(outputs, np.float32, _LAYOUT)


@contextmanager
def _told() -> Iterator[None]:
    """What the search says of its input, as our error."""
    try:
        yield
    except ValueError as error:
        raise DecoderError(str(error)) from error


def _transcript(found: tuple[list[Any], list[Any]], detokenizer: Detokenizer) -> Transcript:
    texts, tokens = found
    hypotheses = []
    for spelled, acoustic_score, word_score in texts:
        words = tuple(map(_WORD, spelled))
        text = " ".join([word.text for word in words])
        hypotheses.append(Hypothesis(text, acoustic_score, word_score, words))
    if not hypotheses:
        return Transcript("")
    labels, best = detokenizer.labels, hypotheses[0]
    timed = tuple([Token(labels[token], start, end) for token, start, end in tokens])
    return Transcript(best.text, best.words, timed, tuple(hypotheses))
