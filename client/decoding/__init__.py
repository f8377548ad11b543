"""From a model's outputs to text: greedy, or beam search with a language model."""

from typing import Any, Protocol

from numpy.typing import NDArray

from client.contract import Contract
from client.decoding.beam import BeamDecoder
from client.decoding.greedy import GreedyDecoder
from client.decoding.options import BeamOptions
from client.transcript import Transcript

__all__ = ["BeamDecoder", "BeamOptions", "Decoder", "GreedyDecoder", "make_decoder"]


class Decoder(Protocol):
    """Turns one utterance's model output into a transcript."""

    @property
    def output(self) -> str:
        """The ensemble's tensor that :meth:`decode` needs, and so the one to ask for."""

    def decode(self, posteriors: NDArray[Any]) -> Transcript:
        """Decode one utterance, ``[S]`` or ``[S, V]``, trimmed to its own frames."""

    def close(self) -> None:
        """Release what the decoder holds; it is not used again."""


def make_decoder(contract: Contract, beam: BeamOptions | None) -> Decoder:
    """Beam search with these options, or greedy decoding for ``None``."""
    return GreedyDecoder(contract) if beam is None else BeamDecoder(contract, beam)
