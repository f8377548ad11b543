"""``python -m benchmarks.gpu COMMAND``: make a bundle here, install and run it beside a GPU.

Results go to files, messages to standard error. The exit status is 0, or 1 with an error, 2 when
the command line is wrong, 130 when interrupted.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.gpu.layout import split
from benchmarks.gpu.packages import install
from benchmarks.gpu.report import report
from client.commands.parser import CommandParser

MODELS = ("quartznet", "jasper", "fastconformer")
PROVIDERS = ("cuda", "cpu")
PARTS = ("parity", "speed", "triton", "compiled")
LENGTHS = ("uniform:15:15", "uniform:1:10", "librispeech")
MB = 10**6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = parser.parse_args(given)
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        chosen.command(chosen, given)
    except (BenchmarkError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _bundle(chosen: argparse.Namespace, given: list[str]) -> None:
    from benchmarks.gpu.bundle import BundleOptions, make_bundle  # noqa: PLC0415  # needs NeMo

    warnings.filterwarnings("ignore")  # NeMo's and torch's, about themselves
    options = BundleOptions(tuple(chosen.models), chosen.size, chosen.wheels)
    with tempfile.TemporaryDirectory(dir=chosen.output.parent) as scratch:
        folder = Path(scratch) / "bundle"
        make_bundle(folder, options, given, _say)
        _say("splitting")
        parts = split(folder, chosen.output, round(chosen.limit_mb * MB))
    sizes = [part.stat().st_size / MB for part in parts]
    _say(f"{chosen.output}: {len(parts)} parts, {sum(sizes):.1f} MB, at most {max(sizes):.1f} MB")


def _install(chosen: argparse.Namespace, _given: list[str]) -> None:
    _say(f"installed; now run with {install(chosen.bundle)}")


def _run(chosen: argparse.Namespace, given: list[str]) -> None:
    from benchmarks.gpu.run import RunOptions, run  # noqa: PLC0415  # needs torch

    options = RunOptions(**{each.name: getattr(chosen, each.name) for each in fields(RunOptions)})
    parts = [] if set(chosen.parts) == set(PARTS) else chosen.parts
    output = chosen.results / f"{'-'.join([chosen.name, *parts])}.json"
    results = run(options, output, given, lambda step: _say(f"{chosen.name}: {step}"))
    for reason in results["left_out"]:
        _say(f"{chosen.name}: left out: {reason}")
    if results["failed"]:
        raise BenchmarkError(f"{chosen.name}: {len(results['failed'])} steps failed, see above")


def _report(chosen: argparse.Namespace, _given: list[str]) -> None:
    sys.stdout.write(report(chosen.results.glob("*.json")))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks.gpu", __doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    bundle = commands.add_parser("bundle", help="pack all there is to pack (in .venv-export)")
    install = commands.add_parser("install", help="make the bundle's Python environment")
    run = commands.add_parser("run", help="measure one model (with the bundle's Python)")
    page = commands.add_parser("report", help="print the results as Markdown")
    named = {bundle: _bundle, install: _install, run: _run, page: _report}
    for command, function in named.items():
        command.set_defaults(command=function)

    add = bundle.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="for the parts")
    add("--models", nargs="+", choices=MODELS, default=MODELS, metavar="NAME")
    add("--size", choices=("full", "small"), default="full")
    add("--limit-mb", type=float, default=60.0, help="of a part (%(default)s)")
    add("--no-wheels", dest="wheels", action="store_false", help="the machine has all packages")
    for command in (install, run):
        command.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    for command in (run, page):
        command.add_argument("--results", type=Path, required=True, metavar="DIR")
    _add_run_options(run)
    return parser


def _add_run_options(run: argparse.ArgumentParser) -> None:
    add = run.add_argument
    add("--model", dest="name", required=True, metavar="NAME", help="one of the bundle's")
    add("--provider", choices=PROVIDERS, default="cuda", help="what computes (%(default)s)")
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)")
    add("--batches", type=int, nargs="+", default=[1, 16], metavar="N", help="utterances at once")
    lengths, compiled = [5, 15, 30], [15]
    add("--seconds", type=float, nargs="+", default=lengths, metavar="S", help="of an utterance")
    what = "those for torch.compile"
    add("--compiled-seconds", type=float, nargs="+", default=compiled, metavar="S", help=what)
    add("--clients", type=int, nargs="+", default=[1, 64, 256], metavar="N", help="in flight")
    add("--lengths", nargs="+", default=LENGTHS, metavar="L", help="as of benchmarks serve")
    add("--load-seconds", type=float, default=5, metavar="S", help="of each load (%(default)s)")
    add("--repeats", type=int, default=20, metavar="N", help="timed rounds (%(default)s)")
    add("--limit-s", type=float, default=480, help="begin nothing after so long (%(default)s)")


def _say(message: str) -> None:
    sys.stderr.write(f"gpu: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
