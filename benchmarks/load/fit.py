"""Cost against length: is it a line, or does it have a quadratic part?

Flow: lengths and costs → least squares of ``a + b t`` and of ``a + b t + c t²``, relative to the
cost, so that short utterances count as much as long ones → residuals and a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.errors import LoadError

NEGLIGIBLE: Final = 0.1
"""Share of the longest utterance's cost below which a quadratic part is none."""
BETTER: Final = 0.7
"""By which a curve must reduce a line's residuals to be more than another way to fit noise."""


@dataclass(frozen=True)
class Fit:
    """``fixed_ms + linear_ms_per_s * t + quadratic_ms_per_s2 * t²``; residuals relative to cost."""

    fixed_ms: float
    linear_ms_per_s: float
    quadratic_ms_per_s2: float
    residuals: tuple[float, ...]

    def __call__(self, t_s: float) -> float:
        """Cost of an utterance of ``t_s`` seconds, in ms."""
        return self.fixed_ms + t_s * (self.linear_ms_per_s + t_s * self.quadratic_ms_per_s2)

    @property
    def off(self) -> float:
        """The root mean square of the residuals."""
        return float(np.sqrt(np.mean(np.square(self.residuals))))


@dataclass(frozen=True)
class Growth:
    """Both fits, and the share of the quadratic part in the cost of the longest utterance."""

    linear: Fit
    quadratic: Fit
    quadratic_share: float
    verdict: str


def growth(lengths_s: Sequence[float], costs_ms: Sequence[float]) -> Growth:
    """How cost grows with length. Raises :class:`LoadError` with fewer than four lengths."""
    if len(lengths_s) < 4:
        raise LoadError(f"{len(lengths_s)} lengths, expected 4 or more to fit a curve to")
    linear, quadratic = _fit(lengths_s, costs_ms, 2), _fit(lengths_s, costs_ms, 3)
    longest_s = max(lengths_s)
    share = quadratic.quadratic_ms_per_s2 * longest_s**2 / quadratic(longest_s)
    if abs(share) <= NEGLIGIBLE or quadratic.off > BETTER * linear.off:
        verdict = f"grows linearly up to {longest_s:g} s, within {linear.off:.0%} of a line"
    elif share > 0:
        verdict = (
            f"grows faster than linearly: the quadratic part is {share:.0%} of the cost at "
            f"{longest_s:g} s"
        )
    else:
        verdict = f"grows more slowly than linearly up to {longest_s:g} s"
    return Growth(linear, quadratic, share, verdict)


def _fit(lengths_s: Sequence[float], costs_ms: Sequence[float], terms: int) -> Fit:
    t, costs = np.asarray(lengths_s), np.asarray(costs_ms)
    powers = np.vander(t, terms, increasing=True)  # [lengths, terms]
    coefficients = np.linalg.lstsq(powers / costs[:, None], np.ones_like(costs), rcond=None)[0]
    residuals = powers @ coefficients / costs - 1
    fixed, linear, quadratic = [*map(float, coefficients), 0.0][:3]
    return Fit(fixed, linear, quadratic, tuple(map(float, residuals)))
