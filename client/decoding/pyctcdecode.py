"""The package pyctcdecode as a decoder: for its texts to the letter, or to compare with it.

Flow: contract → its alphabet; language models, read here, with their words → its search →
``log_probs [S, V]`` → its beams: text, frames of each word, scores → ``Transcript``.

Nothing is left to it to guess. It is told whether labels are pieces and which is the blank (it goes
by how they look), the words of language models (it reads them from files called ``*.arpa`` alone),
and gets real log-probabilities (it takes rows that sum to 1 for probabilities). It marks no pauses
and closes up no marks: its texts are left as they are.
"""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from ..errors import DecoderError
from ..language_models import load_language_model
from ..transcript import Hypothesis, Transcript, Word
from ..utils.extras import import_extra
from ..vocabulary import Detokenizer
from ..wire.contract import LOG_PROBS, Contract
from .log_probs import check_log_probs
from .options import PyctcdecodeOptions
from .writable import check_hotwords, check_words

_PACKAGE: Final = "pyctcdecode"
_UNKNOWN_PIECE: Final = "<unk>"

# It warns of what is handled here. Without a handler, that would go to standard error.
logging.getLogger(_PACKAGE).addHandler(logging.NullHandler())


class PyctcdecodeDecoder:
    """Decodes with pyctcdecode; words have no confidence, and there are no tokens.

    Raises ``DecoderError`` for language models and hotwords that cannot be used, and for a
    vocabulary that it cannot tell apart; ``MissingPackage`` without the package.
    """

    output: Final = LOG_PROBS

    def __init__(self, contract: Contract, options: PyctcdecodeOptions) -> None:
        package = import_extra(f"{_PACKAGE}.decoder", "pyctcdecode", "this decoder")
        alphabet = import_extra(f"{_PACKAGE}.alphabet", "pyctcdecode", "this decoder")
        detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        check_hotwords(options.hotwords, detokenizer)
        self._n_tokens = contract.blank + 1
        self._stride_s = contract.frame_stride_s
        self._nbest = options.nbest
        self._search = {
            "beam_width": options.beam_width,
            "beam_prune_logp": options.beam_prune_logp,
            "token_min_logp": options.token_min_logp,
            "prune_history": options.nbest == 1,  # as its decode() does
            "hotwords": [hotword.text for hotword in options.hotwords],
            "hotword_weight": options.hotword_weight,
        }
        in_pieces = detokenizer.in_pieces
        labels = _labels(contract, alphabet.UNK_BPE_TOKEN if in_pieces else _UNKNOWN_PIECE)
        self._decoder = package.BeamSearchDecoderCTC(
            alphabet.Alphabet(labels, in_pieces), _language_model(options, detokenizer)
        )

    def decode(self, outputs: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Texts of ``log_probs``, ``[S, V]``, natural logarithms; no frames, no text.

        Raises ``DecoderError`` when V is not the contract's or the values are something else.
        """
        check_log_probs(outputs, self._n_tokens)
        if len(outputs) == 0:
            return Transcript("")
        beams = self._decoder.decode_beams(outputs, **self._search)[: self._nbest]
        hypotheses = tuple(
            Hypothesis(
                text,
                float(acoustic_score),
                float(score - acoustic_score),
                tuple(_words(word_frames, self._stride_s, duration_s)),
            )
            for text, _, word_frames, acoustic_score, score in beams
        )
        return Transcript(hypotheses[0].text, hypotheses[0].words, nbest=hypotheses)

    def close(self) -> None:
        """Release the language models, which its class holds on to for all decoders."""
        self._decoder.cleanup()


def _labels(contract: Contract, unknown: str) -> list[str]:
    """The labels of the ``log_probs``: an empty one is the blank."""
    labels = [unknown if label == _UNKNOWN_PIECE else label for label in contract.vocabulary]
    labels.insert(contract.blank, "")
    if repeated := {label for label in labels if labels.count(label) > 1}:
        named = ", ".join(map(repr, sorted(repeated)))
        raise DecoderError(
            f"pyctcdecode cannot tell tokens apart that are written the same, or empty as the "
            f"blank: the vocabulary repeats {named}"
        )
    return labels


def _language_model(options: PyctcdecodeOptions, detokenizer: Detokenizer) -> Any:
    """One of its language models, one of several, or ``None``."""
    package = import_extra(f"{_PACKAGE}.language_model", "pyctcdecode", "this decoder")
    models = []
    for each in options.language_models:
        loaded = load_language_model(each.path, options.unigrams)
        check_words(each.path, loaded.words, detokenizer, lm_case=None)
        model = package.LanguageModel(
            _kenlm(each.path),
            loaded.words,
            alpha=options.alpha * each.weight,
            beta=options.beta,
            unk_score_offset=options.unk_score_offset,
        )
        models.append(model)
    if len(models) > 1:
        return package.MultiLanguageModel(models)
    return models[0] if models else None


def _kenlm(path: Path | str) -> Any:
    kenlm = import_extra("kenlm", "pyctcdecode", "this decoder")
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return kenlm.Model(str(path), config)


def _words(
    word_frames: Iterable[tuple[str, tuple[int, int]]], stride_s: float, duration_s: float
) -> Iterable[Word]:
    """Words with their times, from their first frames and those after their last."""
    before = 0
    for text, (start, end) in word_frames:
        known = start if start >= 0 else before  # negative where it has none
        before = end
        yield Word(text, min(known * stride_s, duration_s), min(end * stride_s, duration_s), None)
