"""What an exported model may differ by and still be published, per precision: the one table."""

import math
from dataclasses import dataclass, replace
from typing import Final

MOST_ROUNDING: Final = 2e-2
"""The most that is allowed because NeMo's own fp32 is off. NeMo's ``log_probs`` of digital silence
are, by 17; ours were 1.7e-2 at most, in features of white noise of two frames."""


@dataclass(frozen=True)
class Thresholds:
    """The largest differences allowed from NeMo's own fp32 model.

    ``features``, ``log_probs``: max-abs against NeMo, one utterance at a time; in float64 where
    fp32 is further away, with :meth:`at_least` what NeMo's fp32 is off itself.
    ``batch``: max-abs of ``log_probs`` between an utterance alone and in a batch.
    ``token_agreement``: the least share of frames with NeMo's token. ``tie``: where the best two
    scores are closer, they may trade places; in reduced precision this holds for made-up speech,
    where many are, and recorded speech is judged on all frames.
    ``extra_word_errors``: word errors more than NeMo makes, as a share of the reference's words;
    one is always allowed in reduced precision, for on few words a share is less than one.
    """

    features: float
    log_probs: float
    batch: float
    tie: float
    token_agreement: float
    extra_word_errors: float

    def tie_on(self, *, recorded: bool) -> float:
        """The ``tie`` that holds for recorded or for made-up speech."""
        return 0.0 if recorded and self.token_agreement < 1.0 else self.tie

    def at_least(self, features: float, log_probs: float) -> "Thresholds":
        """These, but up to ``MOST_ROUNDING`` no stricter than NeMo's own fp32, off by as much."""
        features, log_probs = min(features, MOST_ROUNDING), min(log_probs, MOST_ROUNDING)
        return replace(
            self,
            features=max(self.features, features),
            log_probs=max(self.log_probs, log_probs),
            tie=max(self.tie, 2 * log_probs),
        )

    @property
    def needs_speech(self) -> bool:
        """Whether tokens alone can tell, which made-up utterances leave undecided too often."""
        return math.isinf(self.log_probs)

    def allowed_word_errors(self, words: int) -> int:
        """How many word errors more than NeMo's are allowed on ``words`` of reference."""
        if not self.extra_word_errors:
            return 0
        return max(1, math.floor(self.extra_word_errors * words))


THRESHOLDS: Final = {
    "fp32": Thresholds(1e-3, 1e-3, 1e-4, tie=2e-3, token_agreement=1.0, extra_word_errors=0.0),
    "fp16": Thresholds(1e-3, 0.5, 0.05, tie=0.2, token_agreement=0.999, extra_word_errors=0.0015),
    "int8": Thresholds(
        1e-3, math.inf, 0.5, tie=0.0, token_agreement=0.99, extra_word_errors=0.0055
    ),
}
"""What the demo checkpoint measures against them is in docs/verification.md. Of int8, ``log_probs``
say little: those of hopeless tokens are far off."""
