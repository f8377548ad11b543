"""From a model's outputs to text: greedy, or beam search with a language model."""

import math
from typing import Any, Protocol

from numpy.typing import NDArray

from ..transcript import Transcript
from ..wire.contract import Contract
from .beam import BeamDecoder
from .greedy import GreedyDecoder
from .options import BeamOptions, DecoderOptions, GreedyOptions, Hotword

__all__ = [
    "BeamDecoder",
    "BeamOptions",
    "Decoder",
    "DecoderOptions",
    "GreedyDecoder",
    "GreedyOptions",
    "Hotword",
    "make_decoder",
]


class Decoder(Protocol):
    """Turns one utterance's model output into a transcript."""

    @property
    def output(self) -> str:
        """The ensemble's tensor that ``decode`` needs, and so the one to ask for."""

    def decode(self, posteriors: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Decode one utterance, ``[S]`` or ``[S, V]``, trimmed to its own frames.

        ``duration_s`` is the length of its audio, after which no word ends.
        """

    def close(self) -> None:
        """Release what the decoder holds; it is not used again."""


def make_decoder(contract: Contract, options: DecoderOptions) -> Decoder:
    """The decoder of these options; raises ``DecoderError`` for a bad language model."""
    if isinstance(options, GreedyOptions):
        return GreedyDecoder(contract, options)
    return BeamDecoder(contract, options)
