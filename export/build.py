"""Checkpoint to a verified model in a repository; what fails verification is not published."""

import datetime as dt
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from client.wire.contract import Contract
from export.assemble import Recipe, assemble
from export.checkpoint import Checkpoint
from export.declared import DISTRIBUTION
from export.preflight import built_names
from export.process import Progress, silent
from export.record import BuildRecord, sha256_of, write_record
from export.repository import check_name, check_replaceable, publish, staging
from export.verification.cases import (
    BATCHED_IN_BUILD_S,
    LONGEST_S,
    generated_cases,
    manifest_cases,
)
from export.verification.thresholds import THRESHOLDS
from export.verification.triton import embedded_server
from export.verification.verify import Row, Verification, verify

MAX_CALIBRATION_CASES: Final = 64
"""Made-up speech says little of int8: without a manifest, it is verified on some of what it was
calibrated with."""

TOOLS: Final = (DISTRIBUTION, "nemo_toolkit", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class BuildOptions:
    """What a build verifies on and where it goes.

    ``manifest``: recorded speech to verify on, beside made-up utterances, which are no longer than
    ``max_case_s``. ``through_triton``: verify through the embedded server as well. ``force``:
    publish whatever verification says.
    """

    repository: Path
    recipe: Recipe
    manifest: Path | None = None
    through_triton: bool = True
    max_case_s: float = LONGEST_S
    force: bool = False


@dataclass(frozen=True)
class Build:
    """What a build came to."""

    contract: Contract
    verification: Verification
    published: bool


def build(checkpoint: Checkpoint, options: BuildOptions, progress: Progress = silent) -> Build:
    """Export ``checkpoint``, verify it, and publish it in ``options.repository`` if it passed.

    Raises :class:`CheckpointError`, :class:`GraphError`, :class:`ParityError` or
    :class:`RepositoryError`; the repository is then unchanged, as when verification fails.
    """
    recipe = options.recipe
    check_name(recipe.name)
    check_replaceable(options.repository, built_names(recipe.name, recipe.serving), recipe.name)
    with staging(options.repository) as staged:
        assembly = assemble(checkpoint, recipe, staged, progress)
        verification = _verified(checkpoint, options, staged, assembly.contract, progress)
        record = BuildRecord(
            name=recipe.name,
            date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            checkpoint=checkpoint.name,
            checkpoint_sha256=checkpoint.sha256,
            precision=recipe.precision,
            accelerator=recipe.accelerator,
            serving=asdict(recipe.serving),
            tools={tool: version(tool) for tool in TOOLS},
            manifests=_manifests(options),
            models=assembly.models,
            gate=gate_record(verification, forced=options.force and not verification.passed),
            checkpoint_notes=checkpoint.notes,
        )
        write_record(staged, record)
        published = verification.passed or options.force
        if published:
            publish(staged, options.repository, recipe.name)
    return Build(assembly.contract, verification, published)


def _manifests(options: BuildOptions) -> dict[str, dict[str, str]]:
    paths = {"verified": options.manifest, "calibrated": options.recipe.calibration_manifest}
    return {
        use: {"file": path.name, "sha256": sha256_of(path)}
        for use, path in paths.items()
        if path is not None
    }


def _verified(
    checkpoint: Checkpoint,
    options: BuildOptions,
    staged: Path,
    contract: Contract,
    progress: Progress,
) -> Verification:
    cases = generated_cases(contract, options.max_case_s, BATCHED_IN_BUILD_S)
    if options.manifest is not None:
        cases += manifest_cases(options.manifest, contract)
    elif contract.precision == "int8" and options.recipe.calibration_manifest is not None:
        recorded = manifest_cases(options.recipe.calibration_manifest, contract)
        cases += recorded[:: math.ceil(len(recorded) / MAX_CALIBRATION_CASES)]
    name = options.recipe.name
    server: AbstractContextManager[str | None] = (
        embedded_server(staged, contract.models(name)) if options.through_triton else nullcontext()
    )
    progress("verifying in batches")
    with server as url:
        for done, step in enumerate(verify(checkpoint, staged, name, cases, url), start=1):
            if isinstance(step, Row):
                progress(f"verified {done} of {len(cases)}")
            else:
                verification = step
    return verification


def gate_record(verification: Verification, *, forced: bool) -> Mapping[str, Any]:
    """What verification measured and allowed, for the build record; infinities are null."""
    rows = verification.rows
    words = verification.word_errors
    return {
        "passed": verification.passed,
        "forced": forced,
        "allowed": _finite(asdict(THRESHOLDS[verification.precision])),
        "largest": _finite(
            {
                "features": max(row.features for row in rows),
                "log_probs": max(row.log_probs for row in rows),
                "batch": max(row.batch for row in rows),
                "triton": max((row.triton for row in rows if row.triton is not None), default=None),
            }
        ),
        "compared_in_float64": sum(row.nemo_rounding is not None for row in rows),
        "token_agreement": verification.token_agreement,
        "word_errors": asdict(words) if words else None,
        "batches": {
            batch.model: {str(size): count for size, count in batch.executions_by_size.items()}
            for batch in verification.batches
        },
        "utterances": len(rows),
        "recorded_utterances": sum(row.case.recorded for row in rows),
        "layer": verification.layer,
        "problems": [
            *verification.problems,
            *(f"{row.case.name}: {problem}" for row in rows for problem in row.problems),
        ],
    }


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """JSON has no infinity."""
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in values.items()
    }
