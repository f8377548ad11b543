"""Builds a verified model from a checkpoint; a model that fails verification is not published."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from client.wire.contract import Contract
from export.assemble import Recipe, assemble
from export.checkpoint import Checkpoint
from export.errors import GraphError
from export.preflight import built_names
from export.process import Progress, silent
from export.record import DISTRIBUTION, BuildRecord, sha256_of, write_record
from export.repository import check_name, check_replaceable, publish, staging
from export.verification.cases import (
    BATCHED_IN_BUILD_S,
    LONGEST_S,
    generated_cases,
    manifest_cases,
)
from export.verification.thresholds import THRESHOLDS
from export.verification.triton import embedded_server
from export.verification.verify import Candidate, Verification, verify

MAX_CALIBRATION_CASES: Final = 64
"""Generated speech tells little about int8: without a manifest, it is verified on at most this
many of the calibration utterances."""

TOOLS: Final = (DISTRIBUTION, "nemo_toolkit", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class BuildOptions:
    """What a build verifies on and where it goes.

    ``fallback``: the precision to build if the recipe's fails verification or cannot be built.
    ``manifest``: recorded speech to verify on, beside generated utterances of up to ``max_case_s``.
    ``through_triton``: verify through the embedded server as well. ``force``: publish even if
    verification fails; with a fallback, even if the fallback's does.
    """

    repository: Path
    recipe: Recipe
    fallback: str | None = None
    manifest: Path | None = None
    through_triton: bool = True
    max_case_s: float = LONGEST_S
    force: bool = False


@dataclass(frozen=True)
class Build:
    """The result of a build."""

    contract: Contract
    verification: Verification
    published: bool


def build(
    checkpoint: Checkpoint,
    options: BuildOptions,
    progress: Progress = silent,
    on_rejected: Callable[[Verification | GraphError], None] | None = None,
) -> Build:
    """Export ``checkpoint``, verify it, and publish it in ``options.repository`` if it passed.

    Before the fallback is built, ``on_rejected`` gets the reason: the verification that the
    recipe's precision failed, or the error that kept it from being built.

    Raises ``CheckpointError``, ``GraphError``, ``ParityError`` or ``RepositoryError``; the
    repository is then unchanged, as when verification fails.
    """
    if options.fallback is None:
        return _build(checkpoint, options, progress)
    rejected: Verification | GraphError
    try:
        first = _build(checkpoint, replace(options, force=False), progress)
    except GraphError as error:
        rejected = error
    else:
        if first.published:
            return first
        rejected = first.verification
    if on_rejected is not None:
        on_rejected(rejected)
    progress(f"building {options.fallback} instead of {options.recipe.precision}")
    recipe = replace(options.recipe, precision=options.fallback, calibration_manifest=None)
    return _build(checkpoint, replace(options, recipe=recipe), progress)


def _build(checkpoint: Checkpoint, options: BuildOptions, progress: Progress) -> Build:
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
    recipe = options.recipe
    calibrated = recipe.calibration_manifest if recipe.precision == "int8" else None
    paths = {"verified": options.manifest, "calibrated": calibrated}
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
    with server as url:
        return verify(checkpoint, Candidate(staged, name, url), cases, progress)


def gate_record(verification: Verification, *, forced: bool) -> Mapping[str, Any]:
    """The measured and allowed differences, for the build record; infinities are null."""
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
