"""Measure one model of a bundle on this machine: parity, speed, and speed through Triton.

What flows through: a bundle and :class:`RunOptions` → steps, one after another → a results file
as JSON, written anew after each step, so that a run that is cut short keeps what it measured.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.environment import describe
from benchmarks.errors import ProviderError
from benchmarks.gpu import parity
from benchmarks.gpu.layout import (
    REPOSITORIES,
    WEIGHTS,
    link_graphs,
    model_folder,
    read_facts,
)
from benchmarks.gpu.served import Load, serve
from benchmarks.gpu.variants import Contestants, Variant, variants_for
from benchmarks.gpu.weights import Weights
from benchmarks.measurement import summarise, time_in_turns
from benchmarks.pipeline import check_provider, host, noise
from client.wire.contract import TOKENS

PACKAGES: Final = ("onnxruntime-gpu", "onnxruntime", "torch", "numpy", "nvidia-pytriton")
PRECISIONS: Final = ("fp32", "fp16")
Say = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """What is measured of the model ``name`` in ``bundle``.

    Every ``batches`` size is run with every length in ``seconds``; torch is compiled, which takes
    minutes, for those with a length in ``compiled_seconds``. ``clients`` are the numbers of
    requests in flight through Triton, of ``lengths`` as for ``benchmarks serve``, for
    ``load_seconds`` each. ``parts`` are of ``parity``, ``speed``, ``triton`` and ``compiled``.
    No step begins after ``limit_s``.
    """

    bundle: Path
    name: str
    provider: str
    parts: tuple[str, ...]
    batches: tuple[int, ...]
    seconds: tuple[float, ...]
    compiled_seconds: tuple[float, ...]
    clients: tuple[int, ...]
    lengths: tuple[str, ...]
    load_seconds: float
    repeats: int
    limit_s: float


def run(options: RunOptions, output: Path, arguments: Sequence[str], say: Say) -> dict[str, Any]:
    """Measure, and write the results to ``output`` as they come in.

    Steps that fail, and those for which the time was up, are listed in the results. Raises
    :class:`BundleError` or :class:`ProviderError` when nothing can be measured.
    """
    start_s = time.monotonic()
    check_provider(options.provider)
    if options.provider == "cuda" and not torch.cuda.is_available():
        raise ProviderError("torch sees no GPU: check nvidia-smi, or choose --provider cpu")
    folder = model_folder(options.bundle, options.name)
    facts = read_facts(folder)
    say("drawing the weights")
    Weights.from_json((folder / WEIGHTS).read_text(encoding="utf-8")).write_data_files(folder)
    link_graphs(folder)
    results: dict[str, Any] = {
        **describe(PACKAGES, arguments, "benchmarks.gpu"),
        "device": _device(options.provider),
        "model": {"name": options.name, **asdict(facts)},
        "parity": [],
        "speed": [],
        "triton": [],
        "left_out": [],
        "failed": [],
    }
    for label, kind, step in _steps(options, folder, facts.sample_rate_hz):
        if time.monotonic() - start_s > options.limit_s:
            results["left_out"].append(f"{label}: the time was up")
            continue
        say(label)
        try:
            for row in step():
                results[kind].append(row)
                _write(output, results)
        # Of torch, ONNX Runtime and the server: what one cannot do must not cost the others.
        except Exception as error:  # noqa: BLE001
            results["failed"].append(f"{label}: {type(error).__name__}: {error}")
            say(results["failed"][-1])
    _write(output, results)
    return results


@dataclass(frozen=True)
class Shape:
    """A batch of utterances of equal length."""

    batch: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.batch} x {self.seconds:g} s"


Step = tuple[str, str, Callable[[], Iterable[dict[str, Any]]]]


def _steps(options: RunOptions, folder: Path, rate_hz: int) -> Iterator[Step]:
    """Label, place in the results, and what to do; what takes longest comes last."""
    contestants = Contestants(folder, options.provider)
    known = variants_for(options.provider)
    quick = [variant for variant in known if variant.engine != "compiled"]
    slow = [variant for variant in known if variant.engine == "compiled"]
    speed = partial(_speed, options.repeats, contestants, rate_hz)
    if "parity" in options.parts:
        yield "parity", "parity", partial(_parity, folder, contestants, quick, rate_hz)
    if "speed" in options.parts:
        for shape in _shapes(options.batches, options.seconds):
            yield f"speed, {shape}", "speed", partial(speed, quick, shape)
    if "triton" in options.parts:
        for precision, serving in product(PRECISIONS, REPOSITORIES):
            served = partial(_served, options, folder, precision, serving)
            yield f"Triton, {precision}, {serving}", "triton", served
    if "compiled" in options.parts:
        for shape in _shapes(options.batches, options.compiled_seconds):
            for variant in slow:
                yield f"{variant.name}, {shape}", "speed", partial(speed, [variant], shape)


def _shapes(batches: Sequence[int], seconds: Sequence[float]) -> list[Shape]:
    return [Shape(batch, length) for batch in batches for length in seconds]


def _parity(
    folder: Path, contestants: Contestants, variants: Sequence[Variant], rate_hz: int
) -> list[dict[str, Any]]:
    reference = Contestants(folder, "cpu")
    return [asdict(row) for row in parity.compare(reference, contestants, variants, rate_hz)]


def _speed(
    repeats: int, contestants: Contestants, rate_hz: int, variants: Sequence[Variant], shape: Shape
) -> list[dict[str, Any]]:
    """The variants in turns; those in ONNX Runtime from audio on as well."""
    samples = round(shape.seconds * rate_hz)
    utterances = [noise(samples, seed) for seed in range(shape.batch)]
    jobs = {("acoustic", v.name): contestants.job(v, utterances) for v in variants}
    for variant in variants:
        if variant.engine == "ort":
            pipeline = contestants.pipeline(variant.precision, tf32=variant.tf32)
            whole = partial(lambda p: host(p.run(utterances), (TOKENS,)), pipeline)
            jobs["pipeline", variant.name] = whole
    named = {f"{stage}: {name}": job for (stage, name), job in jobs.items()}
    speeds = summarise(time_in_turns(named, repeats), audio_s=shape.batch * shape.seconds)
    return [
        {**asdict(shape), "stage": stage, **asdict(speed), "name": name}
        for (stage, name), speed in zip(jobs, speeds, strict=True)
    ]


def _served(
    options: RunOptions, folder: Path, precision: str, serving: str
) -> Iterator[dict[str, Any]]:
    loads = [
        Load(lengths, clients, options.load_seconds)
        for lengths, clients in product(options.lengths, options.clients)
        # One at a time shares no batch, which other lengths could make a difference to.
        if clients > 1 or lengths == options.lengths[0]
    ]
    repository, model = folder / REPOSITORIES[serving], f"{folder.name}_{precision}"
    for served in serve(repository, model, loads, gpu=options.provider == "cuda"):
        yield {"precision": precision, "serving": serving, **asdict(served)}


def _device(provider: str) -> dict[str, Any]:
    if provider == "cpu":
        return {"provider": provider}
    return {
        "provider": provider,
        "gpu": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "driver": _driver(),
        "cuda_of_torch": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "not known: nvidia-smi did not tell"
    return answer.split("\n", 1)[0]


def _write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
