"""Measure one model of a bundle on this machine: parity, speed, and speed through Triton.

What flows through: a bundle and ``RunOptions`` → steps, one after another → a results file
as JSON, written anew after each step, so that a run that is cut short keeps what it measured.
"""

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.errors import ProviderError
from benchmarks.gpu import parity
from benchmarks.gpu.layout import PRECISIONS, REPOSITORIES, model_folder, read_facts
from benchmarks.gpu.served import Load, serve
from benchmarks.gpu.variants import Contestants, Variant, variants_for
from benchmarks.measurement import summarise, time_in_turns
from benchmarks.pipeline import check_provider, host, noise
from benchmarks.report import describe, write_json
from client.wire.contract import TOKENS

PACKAGES: Final = ("onnxruntime-gpu", "onnxruntime", "torch", "numpy", "nvidia-pytriton")
Say = Callable[[str], None]
Rows = Iterable[dict[str, Any]]
Step = tuple[str, str, Callable[[], Rows]]
"""Its label, where its rows go in the results, and what to do."""
Shape = tuple[int, float]
"""Utterances in a batch, and seconds of each."""


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
    parts: Sequence[str]
    batches: Sequence[int]
    seconds: Sequence[float]
    compiled_seconds: Sequence[float]
    clients: Sequence[int]
    lengths: Sequence[str]
    load_seconds: float
    repeats: int
    limit_s: float


def run(options: RunOptions, output: Path, arguments: Sequence[str], say: Say) -> dict[str, Any]:
    """Measure, and write the results to ``output`` as they come in.

    Steps that fail, and those for which the time was up, are listed in the results. Raises
    ``BundleError`` or ``ProviderError`` when nothing can be measured.
    """
    start_s = time.monotonic()
    check_provider(options.provider)
    if options.provider == "cuda" and not torch.cuda.is_available():
        raise ProviderError("torch sees no GPU: check nvidia-smi, or choose --provider cpu")
    folder = model_folder(options.bundle, options.name)
    facts = read_facts(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        **describe(PACKAGES, arguments, "benchmarks.gpu"),
        "device": _device(options.provider),
        "model": {"name": options.name, **asdict(facts)},
        **{kind: [] for kind in ("parity", "speed", "triton", "left_out", "failed")},
    }
    for label, kind, step in _steps(options, folder, facts.sample_rate_hz):
        if time.monotonic() - start_s > options.limit_s:
            results["left_out"].append(f"{label}: the time was up")
            continue
        say(label)
        try:
            for row in step():
                results[kind].append(row)
                write_json(output, results)
        # Of torch, ONNX Runtime and the server: what one cannot do must not cost the others.
        except Exception as error:  # noqa: BLE001
            results["failed"].append(f"{label}: {type(error).__name__}: {error}")
            say(results["failed"][-1])
    write_json(output, results)
    return results


def _steps(options: RunOptions, folder: Path, rate_hz: int) -> Iterator[Step]:
    """What takes longest comes last."""
    contestants = Contestants(folder, options.provider)
    known = variants_for(options.provider)
    quick = [variant for variant in known if variant.engine != "compiled"]
    slow = [variant for variant in known if variant.engine == "compiled"]
    speed = partial(_speed, options.repeats, contestants, rate_hz)
    if "parity" in options.parts:
        yield "parity", "parity", partial(_parity, folder, contestants, quick, rate_hz)
    if "speed" in options.parts:
        for shape in product(options.batches, options.seconds):
            yield f"speed, {_words(shape)}", "speed", partial(speed, quick, shape)
    if "triton" in options.parts:
        for precision, serving in product(PRECISIONS, REPOSITORIES):
            served = partial(_served, options, folder, precision, serving)
            yield f"Triton, {precision}, {serving}", "triton", served
    if "compiled" in options.parts:
        for shape in product(options.batches, options.compiled_seconds):
            for variant in slow:
                label = f"{variant.name}, {_words(shape)}"
                yield label, "speed", partial(speed, [variant], shape)


def _words(shape: Shape) -> str:
    return f"{shape[0]} x {shape[1]:g} s"


def _parity(
    folder: Path, contestants: Contestants, variants: Sequence[Variant], rate_hz: int
) -> Rows:
    reference = Contestants(folder, "cpu")
    return map(asdict, parity.compare(reference, contestants, variants, rate_hz))


def _speed(
    repeats: int, contestants: Contestants, rate_hz: int, variants: Sequence[Variant], shape: Shape
) -> Rows:
    """The variants in turns; those in ONNX Runtime from audio on as well."""
    batch, seconds = shape
    utterances = [noise(round(seconds * rate_hz), seed) for seed in range(batch)]
    jobs = {("acoustic", v.name): contestants.job(v, utterances) for v in variants}
    for variant in variants:
        if variant.engine == "ort":
            pipeline = contestants.pipeline(variant.precision, tf32=variant.tf32)
            whole = partial(lambda p: host(p.run(utterances), (TOKENS,)), pipeline)
            jobs["pipeline", variant.name] = whole
    named = {f"{stage}: {name}": job for (stage, name), job in jobs.items()}
    speeds = summarise(time_in_turns(named, repeats), audio_s=batch * seconds)
    return [
        {"batch": batch, "seconds": seconds, "stage": stage, **asdict(speed), "name": name}
        for (stage, name), speed in zip(jobs, speeds, strict=True)
    ]


def _served(options: RunOptions, folder: Path, precision: str, serving: str) -> Rows:
    loads = [
        Load(lengths, clients, options.load_seconds)
        for lengths, clients in product(options.lengths, options.clients)
        # One at a time shares no batch, which other lengths could make a difference to.
        if clients > 1 or lengths == options.lengths[0]
    ]
    repository, model = folder / REPOSITORIES[serving], f"{folder.name}_{precision}"
    for served in serve(repository, model, loads, gpu=options.provider == "cuda"):
        yield {"precision": precision, "serving": serving, "model": model, **served}


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
