"""``python -m export engine``: an ONNX repository to TensorRT plans, beside the GPU.

It needs only Python, TensorRT and NVIDIA's driver, so it runs in NVIDIA's containers.
Flow: build record → a plan for each graph without obstacles, tried on probe inputs → the plans'
places → ``config.pbtxt`` of those models. A run that fails leaves the repository as it was served.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from export.arguments import number
from export.engine.builder import BuilderOptions, Plan, build_plan
from export.engine.device import Gpu, visible_gpus
from export.engine.files import commit_partial, partial_path, write_partial
from export.engine.installation import load_tensorrt, tensorrt_version
from export.engine.islands import LEVELS
from export.engine.plan import (
    METADATA_FILE,
    PLAN_FILE,
    PlanMetadata,
    mismatches,
    sha256_of_bytes,
    write_plan,
)
from export.engine.probe import not_finite
from export.engine.record import EngineModel, EngineRecord, read_engine_record
from export.engine.switch import (
    BACKENDS,
    ONNXRUNTIME,
    TENSORRT,
    check_switchable,
    serving_backend,
    switch,
)
from export.errors import EngineError
from export.layout import GRAPH_FILE, version_folder
from export.record import check_files

TIMING_CACHE_FILE: Final = ".tensorrt-timing-cache"

_HALF_PRECISIONS: Final = ("fp16",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--repository",
        type=Path,
        default=Path("model_repository"),
        metavar="DIR",
        help="the model repository (default %(default)s)",
    )
    parser.add_argument("--name", required=True, help="the model's name for clients")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check",
        action="store_true",
        help="build nothing: exit 1 unless the plans served fit this machine",
    )
    action.add_argument(
        "--backend",
        choices=BACKENDS,
        help="build nothing: serve by this backend, with the plans built before",
    )
    parser.add_argument(
        "--workspace",
        type=number(0.001, 1024, "GiB"),
        default=BuilderOptions.workspace_gib,
        metavar="GIB",
        help="most memory a layer's kernel may use beyond its tensors (default: %(default)g)",
    )
    parser.add_argument(
        "--optimization-level",
        type=int,
        choices=range(6),
        help="how hard TensorRT looks for fast kernels (default: its own)",
    )
    parser.add_argument(
        "--timing-cache",
        type=Path,
        metavar="FILE",
        help=f"kernel timings, kept between runs (default: DIR/{TIMING_CACHE_FILE})",
    )
    parser.add_argument(
        "--tf32",
        action="store_true",
        help="round the factors of fp32 products to 10 bits: faster, less exact",
    )
    parser.add_argument("--verbose", action="store_true", help="show TensorRT's log")


def run(options: argparse.Namespace) -> None:
    """Build, check or switch.

    Raises ``EngineError`` or ``RepositoryError``; serving is then unchanged.
    """
    repository: Path = options.repository
    record = read_engine_record(repository, options.name)
    if options.check:
        check(repository, record)
    elif options.backend:
        serve_by(repository, record, options.backend)
    else:
        build(repository, record, _builder_options(options))


def build(repository: Path, record: EngineRecord, options: BuilderOptions) -> None:
    """Build a plan of every graph that TensorRT can run, and serve them."""
    models = _runnable(record)
    for model in models:
        check_switchable(repository / model.name, TENSORRT)
        check_files(version_folder(repository / model.name), model.files)
    tensorrt = load_tensorrt()
    gpu = _only_gpu(visible_gpus())
    folders = [version_folder(repository / model.name) for model in models]
    files = [folder / name for folder in folders for name in (PLAN_FILE, METADATA_FILE)]
    try:
        for path in files:  # fails before minutes of building if a folder is read-only
            write_partial(path, b"")
        for model, folder in zip(models, folders, strict=True):
            plan = _finite_plan(tensorrt, folder / GRAPH_FILE, model, record.precision, options)
            metadata = _metadata(str(tensorrt.__version__), gpu, model, record.precision, plan)
            write_plan(folder, plan.data, metadata)
        for path in files:
            commit_partial(path)
    finally:
        for path in files:
            partial_path(path).unlink(missing_ok=True)
    for model in models:
        switch(repository / model.name, TENSORRT)
        _say(f"{repository / model.name}: TensorRT {tensorrt.__version__} on {gpu}")
    _say("Restart a running server to pick up the plans.")


def check(repository: Path, record: EngineRecord) -> None:
    """Raise ``EngineError`` unless every plan that is served fits this machine."""
    served = [m for m in record.models if serving_backend(repository / m.name) == TENSORRT]
    if not served:
        _say("no plan is served: ONNX Runtime serves every model")
        return
    _check_plans(repository, served)
    _say(f"the plans of {', '.join(model.name for model in served)} fit this machine")


def serve_by(repository: Path, record: EngineRecord, backend: str) -> None:
    """Serve the graphs again, or plans that were built before and fit this machine."""
    models = _runnable(record) if backend == TENSORRT else list(record.models)
    if backend == TENSORRT:
        _check_plans(repository, models)
    changed = [m.name for m in models if switch(repository / m.name, backend)]
    _say(f"changed to {backend}: {', '.join(changed) or 'nothing'}")


def _builder_options(options: argparse.Namespace) -> BuilderOptions:
    return BuilderOptions(
        timing_cache=options.timing_cache or options.repository / TIMING_CACHE_FILE,
        workspace_gib=options.workspace,
        optimization_level=options.optimization_level,
        tf32=options.tf32,
        verbose=options.verbose,
    )


def _runnable(record: EngineRecord) -> list[EngineModel]:
    for model in record.models:
        if model.obstacles:
            more = len(model.obstacles) - 1
            others = f", and {more} more in the build record" if more else ""
            _note(f"{model.name} stays on ONNX Runtime: {model.obstacles[0]}{others}")
    models = [model for model in record.models if not model.obstacles]
    if not models:
        raise EngineError("TensorRT can run none of the graphs: see above")
    return models


def _only_gpu(gpus: Sequence[Gpu]) -> Gpu:
    kinds = list(dict.fromkeys(gpus))
    if len(kinds) > 1:
        raise EngineError(
            f"a plan is built for one kind of GPU, here are {', '.join(map(str, kinds))}: choose"
            " with docker's --gpus device=… or CUDA_VISIBLE_DEVICES, and serve on the same"
        )
    return kinds[0]


def _finite_plan(
    tensorrt: Any, graph: Path, model: EngineModel, precision: str, options: BuilderOptions
) -> Plan:
    """A plan whose outputs are finite, with fp32 islands only if needed."""
    levels = LEVELS if precision in _HALF_PRECISIONS else LEVELS[:1]
    problems: list[str] = []
    for kinds in levels:
        if problems:
            _note(f"{model.name}: {problems[0]}; building again with {', '.join(kinds)} in fp32")
        plan = build_plan(tensorrt, graph, model.profiles, options, kinds)
        problems = not_finite(tensorrt, plan.data, model.profiles)
        if not problems:
            return plan
    advice = (
        "export it with --precision fp32"
        if precision in _HALF_PRECISIONS
        else "serve it by ONNX Runtime"
    )
    raise EngineError(
        f"{model.name} in {precision}: {'; '.join(problems)}. Instead, {advice}", problems=problems
    )


def _metadata(
    version: str, gpu: Gpu, model: EngineModel, precision: str, plan: Plan
) -> PlanMetadata:
    return PlanMetadata(
        tensorrt=version,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        graph=model.files,
        plan_sha256=sha256_of_bytes(plan.data),
        precision=precision,
        profiles=model.profiles,
        islands=plan.islands,
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _check_plans(repository: Path, models: Sequence[EngineModel]) -> None:
    version, gpus = tensorrt_version(), visible_gpus()
    problems: list[str] = []
    for model in models:
        folder = version_folder(repository / model.name)
        problems += mismatches(folder, model.files, version, gpus)
    if problems:
        raise EngineError(
            "; ".join(problems) + ". Build the plans again here, or serve the graphs with"
            f" --backend {ONNXRUNTIME}",
            problems=problems,
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")
