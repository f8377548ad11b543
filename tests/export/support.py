"""Exporting a checkpoint and comparing it with NeMo, without a server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.wire.contract import Contract
from export.assemble import Recipe, assemble
from export.build import BuildOptions
from export.checkpoint import Checkpoint
from export.declared import pipeline_of
from export.verification.cases import Case
from export.verification.onnx_pipeline import OnnxPipeline
from export.verification.thresholds import THRESHOLDS
from export.verification.verify import (
    Runs,
    Verification,
    compare,
    conclude,
    run_in_batches,
)

NAME = "small"


@dataclass(frozen=True, repr=False)
class Exported:
    """A checkpoint, the folder with its models, and its graphs in ONNX Runtime."""

    checkpoint: Checkpoint
    repository: Path
    contract: Contract
    graphs: OnnxPipeline


def export(checkpoint: Checkpoint, repository: Path) -> Exported:
    contract = assemble(checkpoint, Recipe(NAME), repository).contract
    graphs = OnnxPipeline(repository, NAME, pipeline_of(checkpoint), contract)
    return Exported(checkpoint, repository, contract, graphs)


def quick_build(repository: Path, precision: str = "fp32", **options: Any) -> BuildOptions:
    """A build that is verified on short utterances and without a server."""
    return BuildOptions(
        repository,
        Recipe(NAME, precision),
        max_case_s=2.5,
        through_triton=False,
        **options,
    )


def verification(checkpoint: Checkpoint, graphs: OnnxPipeline, cases: list[Case]) -> Verification:
    """What verification finds in bare ONNX Runtime."""
    rows = [
        compare(
            checkpoint,
            case,
            Runs(graphs.run([case.audio])[0], in_batches, served={}),
            THRESHOLDS[graphs.contract.precision],
        )
        for case, in_batches in zip(cases, run_in_batches(graphs, cases), strict=True)
    ]
    return conclude(checkpoint, graphs, tuple(rows))


def problems(checkpoint: Checkpoint, graphs: OnnxPipeline, cases: list[Case]) -> list[str]:
    """Every problem found, with the utterance it was found in."""
    found = verification(checkpoint, graphs, cases)
    return [
        *found.problems,
        *(f"{row.case.name}: {problem}" for row in found.rows for problem in row.problems),
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
