"""Our decoder and the ones it is compared with, each behind ``decode(log_probs) -> text``.

They share a contract and ``BeamOptions``: language model and its words, alpha, beta, hotwords and
their weight, beam width, and the thresholds of pruning, as far as a decoder knows them.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from numpy.typing import NDArray

from benchmarks.decoders.flashlight import Flashlight
from benchmarks.report import optional
from client.decoding import BeamDecoder, BeamOptions
from client.language_models import read_words
from client.wire.contract import Contract

OURS: Final = "ours"


class Peer(Protocol):
    """A decoder of one contract's ``log_probs``."""

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""


MakePeer: TypeAlias = Callable[[Contract, BeamOptions], Peer]
"""Raises ``ProviderError`` when the decoder is not installed, or lacks what the options ask for."""


class Ours:
    """This project's decoder, whole transcripts: times and confidences too."""

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        self._decoder = BeamDecoder(contract, options)

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        return self._decoder.decode(log_probs).text


class DropIn:
    """Plain pyctcdecode, or a package with its interface, made and called as its README says."""

    def __init__(self, module: str, package: str, contract: Contract, options: BeamOptions) -> None:
        build = optional(module, package).build_ctcdecoder
        # It warns of pieces that they are no letters.
        logging.getLogger(module).setLevel(logging.ERROR)
        lm = options.language_models[0].path if options.lm else None
        # It tells pieces by their ``▁`` itself.
        self._decoder = build(
            [*contract.vocabulary, ""],
            None if lm is None else str(lm),
            None if lm is None else sorted(read_words(lm)),
            alpha=options.alpha,
            beta=options.beta,
            unk_score_offset=options.unk_score_offset,
        )
        names = ("beam_width", "beam_prune_logp", "token_min_logp", "hotword_weight")
        self._search = {name: getattr(options, name) for name in names}
        self._hotwords = [hotword.text for hotword in options.hotwords]

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        text: str = self._decoder.decode(log_probs, hotwords=self._hotwords, **self._search)
        return text


PEERS: Final[dict[str, MakePeer]] = {
    "pyctcdecode": partial(DropIn, "pyctcdecode", "pyctcdecode"),
    "ctc-beam-decoder": partial(DropIn, "ctc_beam_decoder", "ctc-beam-decoder"),
    "flashlight-text": Flashlight,
    OURS: Ours,
}
"""The first is what ratios are to."""
