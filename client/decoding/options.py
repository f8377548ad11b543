"""The options of beam search, with their defaults in this one place.

Names and most defaults are pyctcdecode's; ``alpha`` and ``beta`` are ``kenlm_alpha`` or
``beam_alpha``, and ``beam_beta`` in NeMo, with other defaults. ``docs/decoding.md`` compares all.
Figures made with one set of weights do not compare with the other.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Final, TypeAlias

from ..errors import DecoderError
from ..language_models.cases import WORD_CASES

MOST_WEIGHT: Final = 100.0
"""The largest alpha, beta or hotword weight: more than enough to drown the acoustics."""


@dataclass(frozen=True)
class GreedyOptions:
    """Greedy decoding. Replies hold one token a frame, and no probabilities."""

    confidence: bool = False
    """Ask for ``log_probs`` instead, for the confidence of each word."""
    exact_nemo_text: bool = False
    """Write NeMo's text to the letter: with models of characters, words run together over pauses
    (``decoding.pauses``)."""


@dataclass(frozen=True)
class Hotword:
    """A word or phrase to favour, as the acoustic model writes it."""

    text: str
    weight: float | None = None
    """Its own weight; ``None`` for the options' ``hotword_weight``."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` when text or weight are of another type."""
        if not isinstance(self.text, str) or not isinstance(self.weight, (int, float, NoneType)):
            raise DecoderError(
                f"a hotword is {self.text!r} with weight {self.weight!r}, expected a text and a "
                "number or none"
            )


@dataclass(frozen=True)
class BeamOptions:
    """How to search, and how much the language model and hotwords weigh.

    Weights suit one acoustic and one language model; tune them on a development set: wrong ones do
    worse than greedy.
    """

    lm: Path | str | None = None
    """ARPA file, gzipped or not, or KenLM binary; without one the search sums over alignments."""
    unigrams: Path | str | None = None
    """List of the words to take as known, one a line; ``None`` for the language model's own."""
    lm_case: str = "keep"
    """How hypotheses are written for the language model: ``keep``, ``lower`` or ``upper``, in
    Turkish ``lower-tr`` or ``upper-tr``."""
    alpha: float = 0.5
    """Weight of the language model's log-probability (natural logarithm)."""
    beta: float = 1.5
    """Bonus for each word, against the language model's preference for few words."""
    unk_score_offset: float = -10.0
    """Added to the language model's log10 probability of a word that it does not know; hotwords
    are exempt. For the beginning of such a word it is added as it is, in natural logarithm."""
    beam_width: int = 100
    """Hypotheses kept after each frame."""
    beam_prune_logp: float = -10.0
    """Hypotheses this far below the best one are dropped."""
    token_min_logp: float = -5.0
    """Tokens below this log-probability are not tried, save the frame's best."""
    hotwords: tuple[Hotword, ...] = ()
    """Words and phrases to favour, known to the language model or not."""
    hotword_weight: float = 5.0
    """Bonus of a hotword without a weight of its own (natural logarithm)."""
    nbest: int = 1
    """Hypotheses to return. With more than one, the language model merges none that differ."""
    exact_nemo_text: bool = False
    """Mark no pauses, as in NeMo: with models of characters, words run together over them
    (``decoding.pauses``)."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` naming every option that does not hold."""
        if not all(isinstance(hotword, Hotword) for hotword in self.hotwords):
            raise DecoderError(f'hotwords are {self.hotwords!r}, expected (Hotword("word"), …)')
        problems = [problem for holds, problem in self._checks() if not holds]
        if problems:
            raise DecoderError("beam search options: " + "; ".join(problems))

    def weight_of(self, hotword: Hotword) -> float:
        """The hotword's own weight, or the one of all."""
        return self.hotword_weight if hotword.weight is None else hotword.weight

    def _checks(self) -> list[tuple[bool, str]]:
        most = f"{MOST_WEIGHT:g}"
        texts = [" ".join(hotword.text.split()) for hotword in self.hotwords]
        return [
            (0 <= self.alpha <= MOST_WEIGHT, f"alpha {self.alpha} is not in 0 to {most}"),
            (abs(self.beta) <= MOST_WEIGHT, f"beta {self.beta} is not within ±{most}"),
            (
                math.isfinite(self.unk_score_offset) and self.unk_score_offset <= 0,
                f"unk_score_offset {self.unk_score_offset} is not <= 0",
            ),
            (
                isinstance(self.beam_width, int) and self.beam_width >= 1,
                f"beam_width {self.beam_width} is not a whole number >= 1",
            ),
            (self.beam_prune_logp < 0, f"beam_prune_logp {self.beam_prune_logp} is not < 0"),
            (self.token_min_logp < 0, f"token_min_logp {self.token_min_logp} is not < 0"),
            (
                0 <= self.hotword_weight <= MOST_WEIGHT,
                f"hotword_weight {self.hotword_weight} is not in 0 to {most}",
            ),
            *(
                (
                    0 <= self.weight_of(hotword) <= MOST_WEIGHT,
                    f"hotword {hotword.text!r} has weight {hotword.weight}, not in 0 to {most}",
                )
                for hotword in self.hotwords
            ),
            (all(texts), "a hotword is empty"),
            (len(set(texts)) == len(texts), "a hotword is given twice"),
            (
                isinstance(self.nbest, int) and self.nbest >= 1,
                f"nbest {self.nbest} is not a whole number >= 1",
            ),
            (self.lm_case in WORD_CASES, f"lm_case {self.lm_case!r} is not in {WORD_CASES}"),
            (
                self.unigrams is None or self.lm is not None,
                "unigrams are given without a language model",
            ),
        ]


DecoderOptions: TypeAlias = GreedyOptions | BeamOptions
