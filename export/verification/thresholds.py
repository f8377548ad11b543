"""The largest differences with which a model is still published, for each precision."""

import math
from dataclasses import dataclass, replace
from typing import Final

MOST_ROUNDING: Final = 2e-2
"""The most by which NeMo's own rounding may raise a threshold. NeMo's fp32 ``log_probs`` of digital
silence are off by 17; ours by 1.7e-2 at most, in features of white noise of two frames."""


@dataclass(frozen=True)
class Thresholds:
    """The largest differences allowed from NeMo's own fp32 model.

    ``features``, ``log_probs``: max-abs against NeMo, one utterance at a time. Where fp32 is
    further away, NeMo in float64 is the reference, and ``at_least`` adds NeMo's own rounding.
    ``batch``: max-abs of ``log_probs`` between an utterance alone and in a batch.
    ``token_agreement``: the least share of frames with NeMo's token. ``tie``: closer best two
    scores may trade places. Reduced precision allows ties only in generated speech, which has many;
    recorded speech is judged on all frames.
    ``extra_word_errors``: more word errors than NeMo's, as a share of the reference's words.
    Reduced precision always allows one, because a share of few words is less than one.
    """

    features: float
    log_probs: float
    batch: float
    tie: float
    token_agreement: float
    extra_word_errors: float

    def tie_on(self, *, recorded: bool) -> float:
        """The ``tie`` for recorded or generated speech."""
        return 0.0 if recorded and self.token_agreement < 1.0 else self.tie

    def at_least(self, features: float, log_probs: float) -> "Thresholds":
        """These, raised to the rounding of NeMo's own fp32, up to ``MOST_ROUNDING``."""
        features, log_probs = min(features, MOST_ROUNDING), min(log_probs, MOST_ROUNDING)
        return replace(
            self,
            features=max(self.features, features),
            log_probs=max(self.log_probs, log_probs),
            tie=max(self.tie, 2 * log_probs),
        )

    @property
    def needs_speech(self) -> bool:
        """Whether only tokens are judged, of which generated utterances decide too few."""
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
"""docs/verification.md has the demo checkpoint's figures. ``log_probs`` do not judge int8, in which
those of unlikely tokens are far off."""
