"""The embedded Triton under load, one server for loads of several lengths and sizes.

The load is :mod:`benchmarks.load`'s, a closed loop through the project's client: figures mean what
they mean in ``python -m benchmarks serve``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load.arrivals import CLOSED, Level
from benchmarks.load.figures import encoder_batch
from benchmarks.load.lengths import Choice, Utterances, choose
from benchmarks.load.loop import LoadOptions, Target, run_load
from benchmarks.load.sweep import as_figures
from benchmarks.load.target import embedded
from benchmarks.models import read_contract

WARMUP_S: Final = 3.0
REQUEST_TIMEOUT_S: Final = 300.0
"""Hundreds in flight of a slow model are no failure."""


@dataclass(frozen=True)
class Load:
    """``in_flight`` requests at once for ``seconds``, of ``lengths`` as for ``serve --lengths``."""

    lengths: str
    in_flight: int
    seconds: float


@dataclass(frozen=True)
class Served:
    """What came of a load: see :class:`~benchmarks.load.figures.Figures`.

    ``encoder_batch`` is the mean number of utterances in the encoder's batches, ``gpu_share`` the
    mean share of the time in which the GPU computed.
    """

    model: str
    load: Load
    requests: int
    failed: int
    rtfx: float
    encoder_batch: float | None
    p50_ms: float
    p95_ms: float
    padding_share: float
    stages_ms: Mapping[str, float]
    gpu_share: float | None


def serve(repository: Path, model: str, loads: Sequence[Load], *, gpu: bool) -> Iterator[Served]:
    """Serve ``model`` with its queues, and put one load after another on it.

    Raises :class:`ModelError` when there is no such model, :class:`LoadError` when it cannot be
    served or answers nothing.
    """
    contract = read_contract(repository, model)
    sent = [(load, choose(Choice(load.lengths), contract)) for load in loads]
    models = tuple(contract.models(model))
    with embedded(repository, model, gpu=gpu, models=models) as target:
        for load, utterances in sent:
            yield _measure(target, load, utterances)


def _measure(target: Target, load: Load, utterances: Utterances) -> Served:
    level = Level(CLOSED, load.in_flight)
    options = LoadOptions(load.seconds, warmup_s=WARMUP_S, timeout_s=REQUEST_TIMEOUT_S)
    figures = as_figures(run_load(target, utterances, level, options), level)
    return Served(
        model=target.model,
        load=load,
        requests=figures["requests"],
        failed=figures["failed"],
        rtfx=figures["rtfx"],
        encoder_batch=encoder_batch(figures["mean_batch"]),
        p50_ms=figures["latency_ms"]["p50"],
        p95_ms=figures["latency_ms"]["p95"],
        padding_share=figures["padding_share"],
        stages_ms=figures["stages_ms"],
        gpu_share=figures["gpu_share"],
    )
