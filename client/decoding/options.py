"""The options of beam search, with their defaults in this one place."""

import math
from dataclasses import dataclass
from pathlib import Path

from client.errors import DecoderError


@dataclass(frozen=True)
class BeamOptions:
    """How to search, and how much to believe the language model.

    The defaults are pyctcdecode's. NeMo's evaluation scripts use alpha 1, beta 0 and a beam of
    128: figures made with one set do not compare with the other. Weights hold for one acoustic
    and one language model; tune them on a development set, for wrong ones do worse than greedy.
    """

    lm: Path | str | None = None
    """ARPA file, gzipped or not; without one the search only sums over alignments."""
    alpha: float = 0.5
    """Weight of the language model's log-probability (natural logarithm)."""
    beta: float = 1.5
    """Bonus for each word, against the language model's liking for few words."""
    beam_width: int = 100
    """Hypotheses kept after each frame."""
    beam_prune_logp: float = -10.0
    """Hypotheses this far below the best one are dropped."""
    token_min_logp: float = -5.0
    """Tokens below this log-probability are not tried, save the frame's best."""

    def __post_init__(self) -> None:
        """Raise :class:`DecoderError` naming every option that does not hold."""
        checks = (
            (math.isfinite(self.alpha) and self.alpha >= 0, f"alpha {self.alpha} is not >= 0"),
            (math.isfinite(self.beta), f"beta {self.beta} is not a finite number"),
            (self.beam_width >= 1, f"beam_width {self.beam_width} is not >= 1"),
            (self.beam_prune_logp < 0, f"beam_prune_logp {self.beam_prune_logp} is not < 0"),
            (self.token_min_logp < 0, f"token_min_logp {self.token_min_logp} is not < 0"),
        )
        problems = [problem for holds, problem in checks if not holds]
        if problems:
            raise DecoderError("beam search options: " + "; ".join(problems))
