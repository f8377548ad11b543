"""The embedded Triton under load, one server for loads of several lengths and sizes.

The load is ``benchmarks.load``'s, a closed loop through the project's client: figures mean what
they mean in ``python -m benchmarks serve``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.load.figures import encoder_batch
from benchmarks.load.loop import LoadOptions, run_load
from benchmarks.load.sending import CLOSED, Choice, Level, choose
from benchmarks.load.sweep import as_figures
from benchmarks.load.target import embedded
from benchmarks.pipeline import read_contract

WARMUP_S: Final = 3.0
REQUEST_TIMEOUT_S: Final = 300.0
"""Hundreds in flight of a slow model are no failure."""
FIGURES: Final = ("requests", "failed", "rtfx", "padding_share", "stages_ms", "gpu_share")


@dataclass(frozen=True)
class Load:
    """``in_flight`` requests at once for ``seconds``, of ``lengths`` as for ``serve --lengths``."""

    lengths: str
    in_flight: int
    seconds: float


def serve(
    repository: Path, model: str, loads: Sequence[Load], *, gpu: bool
) -> Iterator[dict[str, Any]]:
    """Serve ``model`` with its queues, and put one load after another on it.

    Gives ``FIGURES`` of ``Figures``, the mean ``encoder_batch``,
    ``p50_ms`` and ``p95_ms``. Raises ``ModelError`` when there is no such model,
    ``LoadError`` when it cannot be served or answers nothing.
    """
    contract = read_contract(repository, model)
    sent = [(load, choose(Choice(load.lengths), contract)) for load in loads]
    models = tuple(contract.models(model))
    with embedded(repository, model, gpu=gpu, models=models) as target:
        for load, utterances in sent:
            level = Level(CLOSED, load.in_flight)
            options = LoadOptions(load.seconds, warmup_s=WARMUP_S, timeout_s=REQUEST_TIMEOUT_S)
            figures = as_figures(run_load(target, utterances, level, options), level)
            yield {
                "load": asdict(load),
                **{name: figures[name] for name in FIGURES},
                "encoder_batch": encoder_batch(figures["mean_batch"]),
                "p50_ms": figures["latency_ms"]["p50"],
                "p95_ms": figures["latency_ms"]["p95"],
            }
