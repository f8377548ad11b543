"""How Triton serves a pipeline: batches, queues, instances and threads, as data.

The best settings depend on the hardware and the goal, so there are presets;
``docs/performance.md`` has the figures behind them. Nothing here changes what a model computes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

LENGTH_RANGES_S: Final = (2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""Narrow enough that a full batch is padded by about a seventh, and few enough to fill."""
BATCH: Final = 8
"""Of the throughput preset: larger batches gain little and fill later."""
QUEUE_SIZE: Final = 256
"""Requests that may wait for one model: some seconds of work. More are better sent elsewhere."""
QUEUE_TIMEOUT_US: Final = 30_000_000
"""Half of a client's default deadline: a request that waits longer would miss it."""
SPARE: Final = 2
"""Bounded queues need spare instances. Triton 2.51 wakes a batcher just before it marks an instance
as free, so the batcher misses it until the next one ends; with one instance, for half a second."""


@dataclass(frozen=True)
class Serving:
    """What the configurations of a pipeline say beside its tensors.

    ``instances`` of the encoder run at once on each device, each on ``threads`` of a CPU, 0 for
    all. Every step has ``spare`` instances beside them, for the batcher. ``batched``: waiting
    requests share a batch. The preprocessor waits up to ``queue_delay_us`` for ``batch`` requests,
    or with 0 for any. ``step_delay_us`` is how long encoder and decoder wait for the rest of a
    batch, because the preprocessor passes it on one by one. ``ranges_s`` are the upper ends of the
    length ranges that have a queue of their own. ``cpu``: run on the CPU where there is a GPU too.

    Each model queues ``queue_size`` requests and rejects more. It also rejects a request after
    ``queue_timeout_us`` in the queue, or the shorter time that its client gives.
    """

    preset: str
    instances: int = 1
    threads: int = 0
    batched: bool = True
    batch: int = 0
    queue_delay_us: int = 0
    step_delay_us: int = 0
    ranges_s: tuple[float, ...] = ()
    cpu: bool = False
    spare: int = SPARE
    queue_size: int = QUEUE_SIZE
    queue_timeout_us: int = QUEUE_TIMEOUT_US

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for settings that Triton cannot serve by."""
        if self.instances < 1 or min(self.threads, self.queue_delay_us, self.step_delay_us) < 0:
            raise ValueError(f"{self} has no instance, or a negative number")
        if self.spare < 0 or self.queue_size < 1 or self.queue_timeout_us < 1:
            raise ValueError(
                f"{self} has an unbounded queue, or a negative number of spare instances"
            )
        finite = all(0 < range_s < math.inf for range_s in self.ranges_s)
        if not finite or list(self.ranges_s) != sorted(set(self.ranges_s)):
            raise ValueError(f"length ranges are {self.ranges_s}, expected each above the last")


DEFAULT_SERVING: Final = Serving("balanced", queue_delay_us=10_000, step_delay_us=1_000)
"""Each utterance runs on all cores; those that arrive within 10 ms share a batch."""


def cpu(cores: int) -> Serving:
    """An encoder for each of ``cores``, which takes one utterance at a time: nothing is padded.

    Batchers are there only for their bounded queues; each batch is one utterance.
    """
    return Serving("cpu", instances=cores, threads=1, batched=False, cpu=True)


def throughput(cores: int) -> Serving:
    """Full batches of similar lengths, for a server that always has work, above all on a GPU.

    A single request waits for others. Two encoders share ``cores``, and a GPU where there is one:
    while one waits for its batch, the other computes. There are no spare instances: they would
    triple the preprocessors, of which each length range has its own.
    """
    return Serving(
        "throughput",
        instances=2,
        threads=max(1, cores // 2),
        batch=BATCH,
        queue_delay_us=2_000_000,
        step_delay_us=30_000,
        ranges_s=LENGTH_RANGES_S,
        spare=0,
    )


PRESETS: Final[Mapping[str, Callable[[int], Serving]]] = {
    "balanced": lambda _cores: DEFAULT_SERVING,
    "cpu": cpu,
    "throughput": throughput,
}
