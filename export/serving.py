"""How Triton serves a pipeline: batches, queues, instances and threads, as data.

What pays depends on the hardware and on what is wanted, so there are presets;
``docs/performance.md`` has the figures behind them. Nothing here changes what a model computes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

LENGTH_RANGES_S: Final = (2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""Narrow enough that a full batch is padded by about a seventh, and few enough to fill."""
BATCH: Final = 8
"""Of the throughput preset: larger ones gain little, and fill later."""
QUEUE_SIZE: Final = 256
"""Requests that may wait for one model: some seconds of work; others had better go elsewhere."""
QUEUE_TIMEOUT_US: Final = 30_000_000
"""Half a client's deadline by default: what waits longer would be answered to nobody."""
SPARE: Final = 2
"""Triton 2.51 wakes the batcher of a bounded queue just before it marks an instance as free. That
one is seen only when the next one ends, and with one instance the batcher sleeps for half a second.
"""


@dataclass(frozen=True)
class Serving:
    """What the configurations of a pipeline say beside its tensors.

    ``instances`` of the encoder run at once on each device, each on ``threads`` of a CPU, 0 for
    all. ``spare`` instances of every step are there beside them, for the batcher. ``batched``:
    requests that wait are computed together. With ``batch`` above 0 the preprocessor waits up to
    ``queue_delay_us`` for that many, with 0 for whatever comes. ``step_delay_us`` is how long
    encoder and decoder wait for the rest of a batch, which the preprocessor hands on one by one.
    ``ranges_s`` are the upper ends of the length ranges that have a queue of their own. ``cpu``:
    run on the CPU where there is a GPU too.

    ``queue_size`` requests wait for each model, one more is refused. So is one that has waited for
    ``queue_timeout_us``, or for the shorter time that its client gives.
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
        """Raise ``ValueError`` for what cannot be served."""
        if self.instances < 1 or min(self.threads, self.queue_delay_us, self.step_delay_us) < 0:
            raise ValueError(f"{self} has no instance, or a negative number")
        if self.spare < 0 or self.queue_size < 1 or self.queue_timeout_us < 1:
            raise ValueError(f"{self} has a queue without end, or fewer than no spare instances")
        finite = all(0 < range_s < math.inf for range_s in self.ranges_s)
        if not finite or list(self.ranges_s) != sorted(set(self.ranges_s)):
            raise ValueError(f"length ranges are {self.ranges_s}, expected each above the last")


DEFAULT_SERVING: Final = Serving("balanced", queue_delay_us=10_000, step_delay_us=1_000)
"""Each utterance on all cores at once; those that arrive within 10 ms share a batch."""


def cpu(cores: int) -> Serving:
    """An encoder for each of ``cores``, which takes one utterance at a time: nothing is padded.

    Batchers are there for their queues, which have an end; the batches are of one.
    """
    return Serving("cpu", instances=cores, threads=1, batched=False, cpu=True)


def throughput(cores: int) -> Serving:
    """Full batches of like lengths, for a server that always has work, above all on a GPU.

    A lone request waits for company. Two encoders share ``cores``, and a GPU where there is one:
    while one waits for its batch, the other computes. None is spare: each length range has a
    preprocessor of its own, and of all of these there would be three.
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
