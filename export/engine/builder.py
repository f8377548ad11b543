"""Builds a TensorRT plan from an ONNX graph, with TensorRT 10 or 11.

The network is strongly typed, which TensorRT 11 always is: every layer computes in the type that
the graph gives it. Weights outside the graph's file are found beside it.
"""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from export.engine.files import write_whole
from export.engine.islands import make_islands
from export.engine.profiles import Profile
from export.errors import EngineError

GIB: Final = 1 << 30
_LAST_ERRORS: Final = 5


@dataclass(frozen=True)
class BuilderOptions:
    """How TensorRT builds.

    ``workspace_gib`` bounds the memory of a layer's kernel beyond its tensors.
    ``optimization_level`` is TensorRT's 0 to 5, None its default. ``tf32`` rounds the factors of
    fp32 products to 10 bits. ``timing_cache`` is a file, created if missing.
    """

    timing_cache: Path
    workspace_gib: float = 4.0
    optimization_level: int | None = None
    tf32: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Plan:
    """A serialised engine, and the layers that compute in fp32 for it."""

    data: bytes
    islands: tuple[str, ...]


def build_plan(
    tensorrt: Any,
    graph: Path,
    profiles: Mapping[str, Profile],
    options: BuilderOptions,
    island_kinds: tuple[str, ...] = (),
) -> Plan:
    """Build a plan of the ONNX ``graph``, its layers of ``island_kinds`` in fp32.

    Raises ``EngineError`` with TensorRT's reasons.
    """
    logger = _logger(tensorrt, verbose=options.verbose)
    builder = _builder(tensorrt, logger)
    network = builder.create_network(_network_flags(tensorrt))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        problems = list(map(_sentence, errors))
        raise EngineError(
            f"TensorRT cannot read {graph}: " + "; ".join(problems), path=graph, problems=problems
        )
    islands = make_islands(tensorrt, network, island_kinds)
    config = builder.create_builder_config()
    _set_up(tensorrt, config, options)
    config.add_optimization_profile(_profile(builder, network, profiles))
    progress = _progress(tensorrt, graph.parent.parent.name)
    config.progress_monitor = progress
    cache = _timing_cache(config, options.timing_cache)
    with _interrupts_held_back(progress):
        data = builder.build_serialized_network(network, config)
    if data is None:
        raise EngineError(
            f"TensorRT {tensorrt.__version__} cannot build {graph}:"
            f" {_last(logger) or 'it gave no reason'}. Where memory is short, lower"
            " workspace_gib, or export the model for shorter utterances",
            path=graph,
            options=("workspace_gib",),
        )
    _keep_timings(cache, options.timing_cache)
    return Plan(bytes(data), islands)


def _builder(tensorrt: Any, logger: Any) -> Any:
    try:
        return tensorrt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # raised by the bindings for a null pointer
        raise EngineError(
            f"TensorRT {tensorrt.__version__} does not start: {_last(logger) or error}. Its CUDA"
            " may need a newer driver"
        ) from error


def _network_flags(tensorrt: Any) -> int:
    """On 11 every network is strongly typed, and the flag is deprecated."""
    if str(tensorrt.__version__).startswith("10."):
        return 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return 0


def _set_up(tensorrt: Any, config: Any, options: BuilderOptions) -> None:
    config.set_memory_pool_limit(
        tensorrt.MemoryPoolType.WORKSPACE, int(options.workspace_gib * GIB)
    )
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if not options.tf32:  # on by default, and off by 1e-3
        config.clear_flag(tensorrt.BuilderFlag.TF32)


def _profile(builder: Any, network: Any, profiles: Mapping[str, Profile]) -> Any:
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    if sorted(inputs) != sorted(profiles):
        raise EngineError(
            f"the graph's inputs are {sorted(inputs)}, the build record has profiles for"
            f" {sorted(profiles)}: export the model again"
        )
    result = builder.create_optimization_profile()
    for name, profile in profiles.items():
        try:
            result.set_shape(name, profile.min, profile.opt, profile.max)
        except ValueError as error:
            raise EngineError(
                f"the profile of {name}, {profile}, does not fit the graph ({error}): export the"
                " model again"
            ) from error
    return result


def _timing_cache(config: Any, path: Path) -> Any:
    """The cache in ``path``, or an empty one if it is missing or of another GPU."""
    stored = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(stored)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _keep_timings(cache: Any, path: Path) -> None:
    """Write the timings. They only save time, so a failure is no error."""
    try:
        write_whole(path, bytes(cache.serialize()))
    except OSError as error:
        sys.stderr.write(f"the timings of kernels are not kept for the next run: {error}\n")


def _sentence(error: Any) -> str:
    node = f"node {error.node_name()} ({error.node_operator()})" if error.node_name() else "graph"
    return f"{node}: {error.desc()}"


def _last(logger: Any) -> str:
    return "; ".join(logger.errors[-_LAST_ERRORS:])


def _logger(tensorrt: Any, *, verbose: bool) -> Any:
    """A logger that keeps errors, and shows everything when asked to."""
    severe = (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in severe:
                self.errors.append(msg)
            if verbose:
                sys.stderr.write(f"tensorrt: {msg}\n")

    return Logger()


def _progress(tensorrt: Any, model: str) -> Any:
    """A monitor that names each phase on standard error, and ends the build on an interrupt."""

    class Progress(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self.interrupted = False

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                sys.stderr.write(f"{model}: {phase_name}, {num_steps} steps\n")

        def step_complete(self, phase_name: str, step: int) -> bool:  # noqa: ARG002
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            pass

    return Progress()


@contextmanager
def _interrupts_held_back(progress: Any) -> Iterator[None]:
    """Delay ``KeyboardInterrupt`` until after the block: no exception may pass through TensorRT."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        progress.interrupted = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if progress.interrupted:
        raise KeyboardInterrupt
