"""From a model's outputs to text: greedy, or beam search with language models."""

import math
from typing import Any, Protocol

from numpy.typing import NDArray

from ..transcript import Transcript
from ..wire.contract import Contract
from ..wire.top_tokens import Output
from .beam import BeamDecoder
from .greedy import GreedyDecoder
from .options import (
    BeamOptions,
    DecoderOptions,
    GreedyOptions,
    Hotword,
    PyctcdecodeOptions,
    WeightedLm,
)
from .pyctcdecode import PyctcdecodeDecoder

__all__ = [
    "BeamDecoder",
    "BeamOptions",
    "Decoder",
    "DecoderOptions",
    "GreedyDecoder",
    "GreedyOptions",
    "Hotword",
    "PyctcdecodeDecoder",
    "PyctcdecodeOptions",
    "WeightedLm",
    "make_decoder",
]


class Decoder(Protocol):
    """Turns the model's outputs for one utterance into a transcript."""

    @property
    def output(self) -> Output:
        """What ``decode`` needs of the ensemble's outputs, and so what to ask for."""

    def decode(self, outputs: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Decode one utterance, ``[S]``, ``[S, V]`` or ``[S, K]``, trimmed to its own frames.

        ``duration_s`` is the length of its audio, after which no word ends.
        """

    def close(self) -> None:
        """Release what the decoder holds; it is not used again."""


def make_decoder(contract: Contract, options: DecoderOptions) -> Decoder:
    """The decoder of these options.

    Raises ``DecoderError`` for a bad language model, ``MissingPackage`` for a missing package.
    """
    if isinstance(options, GreedyOptions):
        return GreedyDecoder(contract, options)
    if isinstance(options, PyctcdecodeOptions):
        return PyctcdecodeDecoder(contract, options)
    return BeamDecoder(contract, options)
