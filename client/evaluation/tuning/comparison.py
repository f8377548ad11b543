"""What tuning gained, measured on the held-out part, and what to recommend.

Weights that win on the part they were chosen on win there by choice. So what is recommended must
make fewer errors than greedy decoding on the held-out part too: whoever follows it does not do
worse there than without a language model. As many errors are no reason to decode at a higher price.

With little speech the tuned weights may fit it by chance. So where the default weights do better on
the held-out part, they are recommended instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ...decoding import BeamOptions, GreedyOptions
from ..metrics import difference_interval
from ..result import GREEDY
from .counting import Count, Counted
from .trials import Trial, best_of


def greedy_beside(beam: BeamOptions) -> GreedyOptions:
    """The greedy decoding to compare with a beam search: it treats pauses the same."""
    return replace(GREEDY, exact_nemo_text=beam.exact_nemo_text)


_FEW: Final = 10
"""Utterances too few for an interval: drawn from one again and again, they never differ."""


@dataclass(frozen=True)
class Measured:
    """A decoder's errors on both parts."""

    tuning: Counted
    held_out: Counted


@dataclass(frozen=True)
class Comparison:
    """Greedy decoding, and beam search with default and with tuned weights."""

    greedy: Measured
    defaults: Measured
    tuned: Measured

    @property
    def by_name(self) -> dict[str, Measured]:
        """All three with their names."""
        return {"greedy": self.greedy, "defaults": self.defaults, "tuned": self.tuned}

    @property
    def chosen(self) -> str:
        """The name of the one to use: ``tuned``, ``defaults`` or ``greedy``."""
        gaining = [name for name in ("tuned", "defaults") if self._gains(self.by_name[name])]
        return min(gaining, key=lambda name: self.by_name[name].held_out.errors, default="greedy")

    def against_greedy(self, measured: Measured) -> tuple[float, float]:
        """Interval of the held-out error rate minus greedy's."""
        return difference_interval(
            measured.held_out.by_utterance, self.greedy.held_out.by_utterance
        )

    def verdict(self) -> str:
        """What was found, and what to use therefore."""
        consequence = {
            "tuned": "The preset is beam search with the tuned weights.",
            "defaults": (
                f"The default weights make fewer, {self.defaults.held_out.errors}: the preset is"
                " beam search with these."
            ),
            "greedy": "The preset is greedy decoding, which does as well or better and costs less.",
        }
        return f"{self._finding()}\n{consequence[self.chosen]}"

    def _gains(self, beam: Measured) -> bool:
        return (
            beam.tuning.errors < self.greedy.tuning.errors
            and beam.held_out.errors < self.greedy.held_out.errors
        )

    def _finding(self) -> str:
        tuned, greedy = self.tuned, self.greedy
        if tuned.tuning.errors >= greedy.tuning.errors:
            return (
                "No weights do better than greedy decoding even where they were tuned:"
                f" {tuned.tuning.errors} word errors at best, greedy {greedy.tuning.errors}."
            )
        beam = "On the held-out part, beam search with the tuned weights makes"
        fewer = greedy.held_out.errors - tuned.held_out.errors
        if fewer == 0:
            return f"{beam} as many word errors as greedy decoding, {greedy.held_out.errors}."
        low, high = self.against_greedy(tuned)
        few = len(greedy.held_out.by_utterance) < _FEW
        chance = " This may be chance: tune on more speech." if few or low <= 0 <= high else ""
        return (
            f"{beam} {abs(fewer)} word errors {'fewer' if fewer > 0 else 'more'} than greedy"
            f" decoding ({tuned.held_out.errors} instead of {greedy.held_out.errors};"
            f" {-100 * fewer / max(greedy.held_out.words, 1):+.1f} points, 95 % interval"
            f" {100 * low:+.1f} to {100 * high:+.1f}).{chance}"
        )


def compare(greedy: Counted, trials: Sequence[Trial], count_held_out: Count) -> Comparison:
    """Decode the held-out part; ``greedy`` and the ``trials`` are of the part to tune on."""
    defaults, tuned = trials[0], best_of(trials)
    decoders = (greedy_beside(defaults.options), defaults.options, tuned.options)
    on_tuning = (greedy, defaults.counted, tuned.counted)
    return Comparison(*map(Measured, on_tuning, count_held_out(decoders)))
