"""Our decoder and the ones it is compared with, each behind ``decode(log_probs) -> text``.

They share a contract and ``BeamOptions``: language model and its words,
alpha, beta, beam width, and the thresholds of pruning as far as a decoder knows them.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from numpy.typing import NDArray

from benchmarks.decoders.flashlight import Flashlight
from benchmarks.report import optional
from client.decoding import BeamDecoder, BeamOptions
from client.language_models import read_words
from client.wire.contract import Contract


class Peer(Protocol):
    """A decoder of one contract's ``log_probs``."""

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""


MakePeer: TypeAlias = Callable[[Contract, BeamOptions], Peer]
"""Raises ``ProviderError`` when the decoder is not installed."""


class Ours:
    """This project's decoder, whole transcripts: times and confidences too."""

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        self._decoder = BeamDecoder(contract, options)

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        return self._decoder.decode(log_probs).text


class Pyctcdecode:
    """Plain pyctcdecode, made and called as its README says."""

    def __init__(self, contract: Contract, options: BeamOptions) -> None:
        build = optional("pyctcdecode", "pyctcdecode").build_ctcdecoder
        # It warns of pieces that they are no letters.
        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
        # It appends the blank, and tells pieces by their ``▁`` itself.
        self._decoder = build(
            list(contract.vocabulary),
            None if options.lm is None else str(options.lm),
            None if options.lm is None else sorted(read_words(options.lm)),
            alpha=options.alpha,
            beta=options.beta,
            unk_score_offset=options.unk_score_offset,
        )
        names = ("beam_width", "beam_prune_logp", "token_min_logp")
        self._search = {name: getattr(options, name) for name in names}

    def decode(self, log_probs: NDArray[Any]) -> str:
        """The text of one utterance, ``[S, V]``."""
        text: str = self._decoder.decode(log_probs, **self._search)
        return text


PEERS: Final[dict[str, MakePeer]] = {
    "pyctcdecode": Pyctcdecode,
    "ours": Ours,
    "flashlight-text": Flashlight,
}
"""The first is what ratios are to."""
