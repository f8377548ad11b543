"""Exporting a checkpoint and comparing it with NeMo, without a server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.contract import Contract
from export.build import BuildOptions, build, pipeline_of
from export.checkpoint import Checkpoint
from export.verification.cases import Case
from export.verification.onnx_pipeline import OnnxPipeline
from export.verification.verify import Runs, compare, run_in_batches

NAME = "small"


@dataclass(frozen=True, repr=False)
class Exported:
    """A checkpoint, the repository it was exported to, and its graphs in ONNX Runtime."""

    checkpoint: Checkpoint
    repository: Path
    contract: Contract
    graphs: OnnxPipeline


def export(checkpoint: Checkpoint, repository: Path) -> Exported:
    contract = build(checkpoint, BuildOptions(repository, NAME))
    graphs = OnnxPipeline(repository, NAME, pipeline_of(checkpoint), contract)
    return Exported(checkpoint, repository, contract, graphs)


def problems(checkpoint: Checkpoint, graphs: OnnxPipeline, cases: list[Case]) -> list[str]:
    """What verification finds; the batched run stands in for the one through Triton."""
    return [
        f"{case.name}: {problem}"
        for case, in_batch in zip(cases, run_in_batches(graphs, cases), strict=True)
        for alone in graphs.run([case.audio])
        for problem in compare(checkpoint, case, Runs(alone, in_batch, in_batch, alone)).problems
    ]


def noise(n_samples: int, amplitude: int = 4000) -> NDArray[Any]:
    """White noise, the same for the same length; int16, shape = (n_samples,)."""
    values = np.random.default_rng(n_samples).standard_normal(n_samples) * amplitude
    return np.clip(values, -32768, 32767).astype(np.int16)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
