"""The options of beam search, with their defaults in this one place.

Names and most defaults are pyctcdecode's; ``alpha`` and ``beta`` are ``kenlm_alpha`` or
``beam_alpha``, and ``beam_beta`` in NeMo, with other defaults. ``docs/decoding.md`` compares all.
Figures made with one set of weights do not compare with the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Final, TypeAlias

from ..errors import DecoderError
from ..language_models.cases import WORD_CASES

MOST_WEIGHT: Final = 100.0
"""The largest alpha, beta or hotword weight: more than enough to drown the acoustics."""
MOST_OFFSET: Final = 1e6
"""The largest offset: beside more, float64 has no digits left for the acoustics."""
MOST_HYPOTHESES: Final = 2**31 - 1
"""What the search counts hypotheses by; memory ends earlier."""


@dataclass(frozen=True)
class GreedyOptions:
    """Greedy decoding. Replies hold one token a frame, and no probabilities."""

    name: ClassVar[str] = "greedy"

    confidence: bool = False
    """Ask for ``log_probs`` instead, for the confidence of each word."""
    exact_nemo_text: bool = False
    """Write NeMo's text to the letter: with models of characters, words run together over pauses
    (``decoding.pauses``)."""


@dataclass(frozen=True)
class Hotword:
    """A word or phrase to favour or disfavour, as the acoustic model writes it."""

    text: str
    weight: float | None = None
    """Its own weight, negative to disfavour it; ``None`` for the options' ``hotword_weight``."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` when text or weight are of another type."""
        if not isinstance(self.text, str) or not isinstance(self.weight, (int, float, NoneType)):
            raise DecoderError(
                f"a hotword is {self.text!r} with weight {self.weight!r}, expected a text and a "
                "number or none"
            )


@dataclass(frozen=True)
class WeightedLm:
    """One of several language models."""

    path: Path | str
    """ARPA file, gzipped or not, or KenLM binary."""
    weight: float = 1.0
    """Its share of ``alpha``."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` when path or weight are of another type."""
        if not isinstance(self.path, (Path, str)) or not isinstance(self.weight, (int, float)):
            raise DecoderError(
                f"a language model is {self.path!r} with weight {self.weight!r}, expected a path "
                "and a number"
            )

    def __str__(self) -> str:
        """As a command line gives it: the path, and a weight other than 1."""
        return str(self.path) if self.weight == 1 else f"{self.path}={self.weight:g}"


@dataclass(frozen=True)
class SearchOptions:
    """What beam searches have in common: how to search, what language model and hotwords weigh.

    Weights suit one acoustic and one language model; tune them on a development set: wrong ones do
    worse than greedy.
    """

    lm: Path | str | tuple[WeightedLm, ...] | None = None
    """ARPA file, gzipped or not, or KenLM binary; without one the search sums over alignments.
    Of several, a word's log-probabilities are added, each times alpha and its model's weight; a
    word is unknown if none of them has it. (Not so in ``PyctcdecodeOptions``.)"""
    unigrams: Path | str | None = None
    """List of the words to take as known, one a line; ``None`` for the language model's own."""
    alpha: float = 0.5
    """Weight of the language model's log-probability (natural logarithm)."""
    beta: float = 1.5
    """Bonus for each word, against the language model's preference for few words."""
    unk_score_offset: float = -10.0
    """Added to the language model's log10 probability of a word that it does not know; hotwords
    are exempt, save in pyctcdecode. For the beginning of such a word it is added as it is, in
    natural logarithm."""
    beam_width: int = 100
    """Hypotheses kept after each frame."""
    beam_prune_logp: float = -10.0
    """Hypotheses this far below the best one are dropped."""
    token_min_logp: float = -5.0
    """Tokens below this log-probability are not tried, save the frame's best. Where many are above,
    replies are larger: ``log_probs`` in place of each frame's best tokens."""
    hotwords: tuple[Hotword, ...] = ()
    """Words and phrases to favour, known to the language model or not."""
    hotword_weight: float = 5.0
    """Bonus of a hotword without a weight of its own (natural logarithm)."""
    nbest: int = 1
    """Hypotheses to return. With more than one, the language model merges none that differ."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` naming every option that does not hold."""
        if not all(isinstance(hotword, Hotword) for hotword in self.hotwords):
            raise DecoderError(f'hotwords are {self.hotwords!r}, expected (Hotword("word"), …)')
        if not all(isinstance(each, WeightedLm) for each in self.language_models):
            raise DecoderError(f'lm is {self.lm!r}, expected (WeightedLm("file", weight), …)')
        problems = [problem for holds, problem in self._checks() if not holds]
        if problems:
            raise DecoderError("beam search options: " + "; ".join(problems))

    @property
    def language_models(self) -> tuple[WeightedLm, ...]:
        """``lm`` as a tuple, empty without one."""
        if self.lm is None:
            return ()
        return self.lm if isinstance(self.lm, tuple) else (WeightedLm(self.lm),)

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
                -MOST_OFFSET <= self.unk_score_offset <= 0,
                f"unk_score_offset {self.unk_score_offset} is not in {-MOST_OFFSET:g} to 0",
            ),
            (
                isinstance(self.beam_width, int) and 1 <= self.beam_width <= MOST_HYPOTHESES,
                f"beam_width {self.beam_width} is not a whole number in 1 to {MOST_HYPOTHESES}",
            ),
            (self.beam_prune_logp < 0, f"beam_prune_logp {self.beam_prune_logp} is not < 0"),
            (self.token_min_logp < 0, f"token_min_logp {self.token_min_logp} is not < 0"),
            (
                0 <= self.hotword_weight <= MOST_WEIGHT,
                f"hotword_weight {self.hotword_weight} is not in 0 to {most}",
            ),
            *(
                (
                    hotword.weight is None or abs(hotword.weight) <= MOST_WEIGHT,
                    f"hotword {hotword.text!r} has weight {hotword.weight}, not within ±{most}",
                )
                for hotword in self.hotwords
            ),
            (all(texts), "a hotword is empty"),
            (len(set(texts)) == len(texts), "a hotword is given twice"),
            (
                isinstance(self.nbest, int) and 1 <= self.nbest <= MOST_HYPOTHESES,
                f"nbest {self.nbest} is not a whole number in 1 to {MOST_HYPOTHESES}",
            ),
            *(
                (0 <= each.weight <= MOST_WEIGHT, f"lm {each} has a weight not in 0 to {most}")
                for each in self.language_models
            ),
            (self.lm != (), "lm names no language model"),
            (
                self.unigrams is None or self.lm is not None,
                "unigrams are given without a language model",
            ),
        ]


@dataclass(frozen=True)
class BeamOptions(SearchOptions):
    """Beam search, this project's."""

    name: ClassVar[str] = "beam"

    lm_case: str = "keep"
    """How hypotheses are written for the language model: ``keep``, ``lower`` or ``upper``, in
    Turkish ``lower-tr`` or ``upper-tr``."""
    exact_nemo_text: bool = False
    """Mark no pauses, as in NeMo: with models of characters, words run together over them
    (``decoding.pauses``)."""

    def _checks(self) -> list[tuple[bool, str]]:
        known = self.lm_case in WORD_CASES, f"lm_case {self.lm_case!r} is not in {WORD_CASES}"
        return [*super()._checks(), known]


@dataclass(frozen=True)
class PyctcdecodeOptions(SearchOptions):
    """Beam search by the package pyctcdecode, to reproduce a system's texts or to compare.

    Defaults are the package's. With one hypothesis texts are those of its ``decode``, with several
    those of its ``decode_beams``. Of several language models it takes the mean score, each with
    alpha times its weight.
    """

    name: ClassVar[str] = "pyctcdecode"

    hotword_weight: float = 10.0
    """Bonus of each word of a hotword (natural logarithm): it knows no phrases."""

    def _checks(self) -> list[tuple[bool, str]]:
        one_weight = (
            (each.weight is None, f"hotword {each.text!r} has its own weight, here all have one")
            for each in self.hotwords
        )
        return [*super()._checks(), *one_weight]


DecoderOptions: TypeAlias = GreedyOptions | BeamOptions | PyctcdecodeOptions

DECODERS: Final[Mapping[str, type[DecoderOptions]]] = {
    kind.name: kind for kind in (GreedyOptions, BeamOptions, PyctcdecodeOptions)
}
"""The decoders by name, as command lines and presets have them."""


def changed(options: DecoderOptions | SearchOptions) -> dict[str, Any]:
    """The options that are not at their defaults, by name."""
    values = ((option, getattr(options, option.name)) for option in fields(options))
    return {option.name: value for option, value in values if value != option.default}
