"""How cost grows: with an utterance's length, and with requests in flight.

Each is measured in turns, several rounds, and reported as medians with quartiles. Against length, a
line ``a + b t`` and a curve ``a + b t + c t²`` are fitted by least squares relative to the cost, so
that short utterances count as much as long ones.
"""

import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.errors import LoadError
from benchmarks.load.loop import Target
from benchmarks.load.summary import by_level
from benchmarks.measurement import quartiles, time_in_turns
from benchmarks.pipeline import noise
from client.wire.contract import TOKENS, Contract
from client.wire.transport import TransportOptions, TritonTransport

FIRST_S: Final = (1.0, 2.0, 5.0, 10.0)
TIMEOUT_S: Final = 300.0
LOSS: Final = 0.05
"""Less throughput than this share is no loss."""
NEGLIGIBLE: Final = 0.1
"""Share of the longest utterance's cost below which a quadratic part is none."""
BETTER: Final = 0.7
"""By which a curve must reduce a line's residuals to be more than another way to fit noise."""


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median and quartiles of some values."""
    return Spread(statistics.median(values), *quartiles(values))


def ladder(contract: Contract, most_s: float) -> list[float]:
    """1, 2, 5, 10 s and then twice as long each, up to the model's longest or ``most_s``."""
    longest_s = min(most_s, contract.max_samples / contract.sample_rate_hz)
    lengths = [each for each in FIRST_S if each < longest_s]
    while lengths and 2 * lengths[-1] < longest_s and lengths[-1] >= FIRST_S[-1]:
        lengths.append(2 * lengths[-1])
    return [*lengths, longest_s]


def against_length(target: Target, most_s: float, rounds: int) -> dict[str, Any]:
    """Single requests of growing length, one at a time: milliseconds until the answer."""
    options = TransportOptions(TIMEOUT_S)
    with closing(TritonTransport(target.url, target.model, options)) as transport:
        contract = transport.contract
        lengths_s = ladder(contract, most_s)
        rate_hz = contract.sample_rate_hz
        audio = {length_s: noise(int(length_s * rate_hz)) for length_s in lengths_s}
        jobs = {
            f"{length_s:g}": partial(_answer, transport, samples)
            for length_s, samples in audio.items()
        }
        runs = time_in_turns(jobs, rounds, warmups=1)
    costs = [
        spread([1000 * run.wall_s for run in runs if run.name == f"{length_s:g}"])
        for length_s in lengths_s
    ]
    found = growth(lengths_s, [cost.median for cost in costs])
    return {
        "lengths_s": lengths_s,
        "cost_ms": [asdict(cost) for cost in costs],
        "fit": asdict(found),
    }


def against_concurrency(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Throughput at each number of requests in flight, and whether it falls beyond the peak.

    ``points`` are a sweep's, at least one.
    """
    found = by_level(points)
    levels = [each.level.value for each in found]
    failed = dict.fromkeys(levels, 0)
    for point in points:
        failed[point["level"]] += point["figures"]["failed"]
    rtfx = [Spread(**each.spread("rtfx")) for each in found]
    return {
        "concurrency": [int(level) for level in levels],
        "rtfx": [asdict(each) for each in rtfx],
        "p95_ms": [each.spread("latency_ms", "p95") for each in found],
        "failed": list(failed.values()),
        "verdict": concurrency_verdict(levels, rtfx),
    }


def concurrency_verdict(levels: Sequence[float], rtfx: Sequence[Spread]) -> str:
    """Whether more than 16 in flight (or the least tried) costs throughput, in words."""
    base = max((place for place, level in enumerate(levels) if level <= 16), default=0)
    after = range(base + 1, len(levels))
    if not after:
        return "nothing above 16 in flight was measured"
    worst = min(after, key=lambda place: rtfx[place].median)
    change = rtfx[worst].median / rtfx[base].median - 1
    place = f"from {levels[base]:g} in flight to {levels[worst]:g}"
    if change >= -LOSS:
        return f"no loss {place}: {change:+.0%}, the worst of those above"
    if rtfx[worst].high >= rtfx[base].low:
        return f"no loss that stands out from the spread {place}: {change:+.0%}"
    return f"throughput falls {place}: {change:+.0%}"


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
    """How cost grows with length. Raises ``LoadError`` with fewer than four lengths."""
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


def _answer(transport: TritonTransport, samples: Any) -> None:
    transport.submit(samples, TOKENS).result()
