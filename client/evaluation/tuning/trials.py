"""What is searched, and what a trial of it found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ...decoding import BeamOptions
from .counting import Counted

RANGES: Final = {"alpha": (0.0, 3.0), "beta": (-2.0, 6.0), "hotword_weight": (0.0, 20.0)}
"""Least and largest of each weight."""

KNOWN: Final = {
    "defaults": (BeamOptions.alpha, BeamOptions.beta),  # pyctcdecode's too
    "NeMo's": (1.0, 0.0),
    "notebook's": (2.0, 1.5),  # of the notebook that this project grew from
}
"""Alpha and beta that are widely used. They are tried first, in this order."""


@dataclass(frozen=True)
class Space:
    """What is searched: the weights, then with the best ones the ``narrower`` beams.

    All else is as ``options`` have it.
    """

    options: BeamOptions
    narrower: tuple[int, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """Alpha and beta, and the weight of hotwords where any has none of its own."""
        hotwords = any(hotword.weight is None for hotword in self.options.hotwords)
        return ("alpha", "beta", "hotword_weight") if hotwords else ("alpha", "beta")

    def varied(self, options: BeamOptions) -> dict[str, float]:
        """The values of what is searched, by name."""
        names = (*self.weights, "beam_width") if self.narrower else self.weights
        return {name: getattr(options, name) for name in names}


@dataclass(frozen=True)
class Trial:
    """Options that were tried, and what they did to the part to tune on; ``name`` if known."""

    number: int
    options: BeamOptions
    counted: Counted
    name: str = ""

    @property
    def rank(self) -> tuple[float, ...]:
        """The least is best: fewest errors; of equals the cheapest, and then the mildest."""
        options = self.options
        return (
            self.counted.errors,
            options.beam_width,
            options.alpha,
            abs(options.beta),
            options.hotword_weight,
            self.number,
        )


def best_of(trials: Iterable[Trial]) -> Trial:
    """The trial of the least rank."""
    return min(trials, key=lambda trial: trial.rank)
