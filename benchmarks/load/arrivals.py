"""When requests are sent: as soon as another is answered, or at times drawn beforehand."""

from dataclasses import dataclass
from typing import Final

import numpy as np

CLOSED: Final = "closed"
OPEN: Final = "open"


@dataclass(frozen=True)
class Level:
    """How hard to press: ``value`` requests in flight (closed), or requests a second (open)."""

    kind: str
    value: float

    @property
    def label(self) -> str:
        """In words, for tables."""
        if self.kind == CLOSED:
            return f"{self.value:g} in flight"
        return f"{self.value:g} requests/s"


def poisson_times(rate: float, seconds: float, seed: int) -> list[float]:
    """Offsets in seconds, ascending, of independent arrivals at ``rate`` a second for ``seconds``.

    Drawn ahead of time: a server that stalls does not slow down those who want something of it.
    """
    random = np.random.default_rng(seed)
    times: list[float] = []
    last_s = float(random.exponential(1 / rate))
    while last_s < seconds:
        times.append(last_s)
        last_s += float(random.exponential(1 / rate))
    return times
