"""Triton's own statistics of its models, and the difference that a load made to them.

An ensemble may be served by others than three steps: length ranges have preprocessors of their own
that feed one encoder. So every model whose count moved is taken, and grouped by what it does.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import sub
from typing import Any, Final, NamedTuple

from tritonclient.grpc import InferenceServerClient

ENSEMBLE: Final = "ensemble"
OTHER: Final = "other"
STEPS: Final = ("preprocessor", "encoder", "decoder")
_TIMEOUT_S: Final = 10.0
_ROLE: Final = re.compile(rf"_({'|'.join(STEPS)})(?![a-z])")


class Counts(NamedTuple):
    """What Triton has counted for one model; times in nanoseconds, summed over requests."""

    inferences: int = 0
    executions: int = 0
    successes: int = 0
    total_ns: int = 0
    queue_ns: int = 0
    compute_ns: int = 0
    """Input, inference and output."""

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted since ``earlier``."""
        return Counts(*map(sub, self, earlier))


@dataclass(frozen=True)
class Statistics:
    """Counts of each model by name, and which of them are ensembles."""

    counts: Mapping[str, Counts]
    ensembles: frozenset[str] = frozenset()

    def since(self, earlier: "Statistics") -> "Statistics":
        """What moved since ``earlier``; models that did nothing are left out."""
        moved = {
            name: counts.since(earlier.counts.get(name, Counts()))
            for name, counts in self.counts.items()
        }
        moved = {name: counts for name, counts in moved.items() if counts.inferences > 0}
        return Statistics(moved, self.ensembles & moved.keys())

    def role(self, name: str) -> str:
        """What the model does: ``ensemble``, a step, or ``other``."""
        return ENSEMBLE if name in self.ensembles else role_of(name)

    def of(self, *roles: str) -> list[Counts]:
        """The counts of all models in these roles."""
        return [counts for name, counts in self.counts.items() if self.role(name) in roles]


def role_of(name: str) -> str:
    """The step that a model's name says it is, as the exporter names them."""
    found = _ROLE.findall(name)
    return str(found[-1]) if found else OTHER


class StatisticsReader:
    """Reads the statistics of all models of a server."""

    def __init__(self, client: InferenceServerClient) -> None:
        self._client = client
        self._platforms: dict[str, str] = {}

    def read(self) -> Statistics:
        """The statistics now. Raises ``InferenceServerException`` when the server does not tell."""
        reply = self._client.get_inference_statistics(client_timeout=_TIMEOUT_S)
        counts: dict[str, Counts] = {}
        for entry in reply.model_stats:  # one for each version
            before = counts.get(entry.name, Counts())
            counts[entry.name] = total((before, _counts(entry)))
        ensembles = frozenset(name for name in counts if self._platform(name) == ENSEMBLE)
        return Statistics(counts, ensembles)

    def _platform(self, name: str) -> str:
        if name not in self._platforms:
            config = self._client.get_model_config(name, client_timeout=_TIMEOUT_S).config
            self._platforms[name] = str(config.platform)
        return self._platforms[name]


def _counts(entry: Any) -> Counts:
    stats = entry.inference_stats
    computing = (stats.compute_input, stats.compute_infer, stats.compute_output)
    return Counts(
        inferences=entry.inference_count,
        executions=entry.execution_count,
        successes=stats.success.count,
        total_ns=stats.success.ns,
        queue_ns=stats.queue.ns,
        compute_ns=sum(part.ns for part in computing),
    )


def total(several: Iterable[Counts]) -> Counts:
    """The sums of each count."""
    return Counts(*map(sum, zip(Counts(), *several, strict=True)))
