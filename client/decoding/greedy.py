"""Greedy CTC decoding: the best token of each frame, pauses marked, repeats merged, blanks dropped.

Works on the ``tokens`` that the server's arg max returns, four bytes a frame on the wire; only for
confidences it asks for ``log_probs``.
"""

import math
from typing import Any, Final

from numpy.typing import NDArray

from ..errors import DecoderError
from ..transcript import Transcript
from ..vocabulary import Detokenizer
from ..wire.contract import LOG_PROBS, TOKENS, Contract
from .log_probs import check_log_probs
from .options import GreedyOptions
from .pauses import Pauses
from .runs import Clock, Runs, runs_of_best_tokens, with_log_probs


class GreedyDecoder:
    """Collapses arg-max tokens to text; those of ``log_probs`` with ``confidence``."""

    def __init__(self, contract: Contract, options: GreedyOptions | None = None) -> None:
        options = options or GreedyOptions()
        self.output: Final = LOG_PROBS if options.confidence else TOKENS
        self._detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
        self._pauses = Pauses(contract, self._detokenizer, exact_nemo_text=options.exact_nemo_text)
        self._clock = Clock(self._detokenizer, contract.frame_stride_s)
        self._blank = contract.blank

    def decode(self, outputs: NDArray[Any], duration_s: float = math.inf) -> Transcript:
        """Text of ``tokens``, ``int32 [S]``, or of ``log_probs``, ``[S, V]``; no frames, no text.

        Raises ``DecoderError`` when a token lies outside the contract's vocabulary, or when
        the ``log_probs`` are none.
        """
        runs = self._runs(outputs)
        return Transcript(
            self._detokenizer.text(runs.tokens),
            self._clock.words(runs, duration_s),
            self._clock.tokens(runs, duration_s),
        )

    def close(self) -> None:
        """Nothing to release."""

    def _runs(self, outputs: NDArray[Any]) -> Runs:
        if self.output == LOG_PROBS:
            check_log_probs(outputs, self._blank + 1)
            best = self._pauses.mark_tokens(outputs.argmax(axis=1))
            return with_log_probs(runs_of_best_tokens(best, self._blank), outputs)
        if outputs.ndim != 1:
            raise DecoderError(
                f"tokens have shape {outputs.shape}, expected [frames]: for log_probs use "
                "GreedyOptions(confidence=True)"
            )
        runs = runs_of_best_tokens(self._pauses.mark_tokens(outputs), self._blank)
        if runs.tokens and not 0 <= min(runs.tokens) <= max(runs.tokens) < self._blank:
            raise DecoderError(
                f"the server's tokens lie in {min(runs.tokens)} to {max(runs.tokens)}, the "
                f"contract's vocabulary in 0 to {self._blank}: export the model and its contract "
                "together"
            )
        return runs
