"""``graphs``: the speed of exported models' graphs in bare ONNX Runtime, in turns, in one run."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from benchmarks.measurement import Job, Speed, summarise, time_in_turns
from benchmarks.models import read_contract
from benchmarks.numbers import above
from benchmarks.pipeline import PROVIDERS, Pipeline, RuntimeOptions, host, noise
from benchmarks.report import write_report
from client.commands.streams import tables
from client.wire.contract import TOKENS, Contract

STAGES: Final = ("encoder", "pipeline")
PACKAGES: Final = ("onnxruntime", "onnxruntime-gpu", "numpy")


@dataclass(frozen=True)
class Options:
    """What is measured: ``batch`` utterances of ``seconds`` each through ``stage``."""

    stage: str
    seconds: float
    batch: int
    threads: int
    repeats: int
    provider: str


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if len(set(parsed.names)) < len(parsed.names):
        parser.error(f"each NAME once, not {' '.join(parsed.names)}")
    options = Options(**{field: getattr(parsed, field) for field in Options.__annotations__})
    speeds = measure(parsed.repository, parsed.names, options)
    print_speeds(speeds, options)
    figures = {**asdict(options), "speeds": [asdict(speed) for speed in speeds]}
    write_report(parsed.output, PACKAGES, ["graphs", *arguments], figures)
    return 0


def measure(repository: Path, names: Sequence[str], options: Options) -> list[Speed]:
    """The speed of each model in ``names``.

    Raises :class:`ModelError` or :class:`ProviderError`.
    """
    contracts = {name: read_contract(repository, name) for name in names}
    runtime = RuntimeOptions(options.provider, options.threads)
    jobs = {
        name: _job(Pipeline(repository, name, runtime), contract, options)
        for name, contract in contracts.items()
    }
    runs = time_in_turns(jobs, options.repeats)
    return summarise(runs, audio_s=options.seconds * options.batch)


def print_speeds(speeds: Sequence[Speed], options: Options) -> None:
    """Print the table to standard output."""
    where = "CUDA" if options.provider == "cuda" else f"{options.threads or 'all'} threads"
    table = Table(
        title=f"{options.stage}, batch of {options.batch} x {options.seconds:g} s, {where},"
        f" {options.repeats} rounds"
    )
    table.add_column("model", no_wrap=True)
    for heading in ("median ms", "RTFx", "quartiles", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for speed in speeds:
        table.add_row(
            speed.name,
            f"{1000 * speed.wall_median_s:.1f}",
            f"{speed.rtfx:.1f}",
            f"{speed.rtfx_low:.1f} - {speed.rtfx_high:.1f}",
            f"{speed.ratio:.2f}",
        )
    tables(sys.stdout).print(table)


def _job(pipeline: Pipeline, contract: Contract, options: Options) -> Job:
    samples = round(options.seconds * contract.sample_rate_hz)
    utterances = [noise(samples, seed) for seed in range(options.batch)]
    if options.stage == "pipeline":
        return lambda: host(pipeline.run(utterances), (TOKENS,))
    features: dict[str, Any] = pipeline.features(utterances)
    return partial(pipeline.encode, features)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks graphs", description=__doc__)
    add = parser.add_argument
    add("names", nargs="+", metavar="NAME", help="models to compare; ratios are to the first")
    add("--repository", type=Path, required=True, metavar="DIR", help="where they are")
    add("--stage", choices=STAGES, default="encoder", help="what to time (%(default)s)")
    add("--provider", choices=PROVIDERS, default="cpu", help="what computes (%(default)s)")
    add("--seconds", type=above(float), default=10.0, help="audio in an utterance (%(default)s)")
    add("--batch", type=above(int), default=1, help="utterances in a run (%(default)s)")
    add("--threads", type=_threads, default=2, help="threads on a CPU, 0: all (%(default)s)")
    add("--repeats", type=above(int), default=20, help="timed rounds (%(default)s)")
    add("--output", type=Path, metavar="JSON", help="file for the figures and their circumstances")
    return parser


def _threads(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number of threads, or 0 for all, got {text}")
    return value
