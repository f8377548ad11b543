"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks dropped.

Works on the ``tokens`` that the server's arg max returns: four bytes a frame on the wire.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from client.contract import TOKENS, Contract
from client.errors import DecoderError
from client.transcript import Transcript
from client.vocabulary import Detokenizer


class GreedyDecoder:
    """Collapses arg-max tokens to text."""

    output: Final = TOKENS

    def __init__(self, contract: Contract) -> None:
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._blank = contract.blank

    def decode(self, posteriors: NDArray[Any]) -> Transcript:
        """Text of ``tokens``, ``int32 [S]``; no frames give no text.

        Raises :class:`DecoderError` when a token lies outside the contract's vocabulary.
        """
        collapsed = collapse(posteriors, self._blank)
        if collapsed.size and not 0 <= collapsed.min() <= collapsed.max() < self._blank:
            raise DecoderError(
                f"the server's tokens lie in {collapsed.min()} to {collapsed.max()}, the contract's"
                f" vocabulary in 0 to {self._blank}: export the model and its contract together"
            )
        return Transcript(self._detokenizer.text(collapsed))

    def close(self) -> None:
        """Nothing to release."""


def collapse(tokens: NDArray[Any], blank: int) -> NDArray[Any]:
    """Merge repeats, then drop blanks: ``[S]`` to ``[at most S]``."""
    first_of_run = np.ones(tokens.shape, dtype=bool)  # [S]
    first_of_run[1:] = tokens[1:] != tokens[:-1]
    kept: NDArray[Any] = tokens[first_of_run & (tokens != blank)]
    return kept
