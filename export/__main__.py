"""``python -m export``: NeMo checkpoints to verified model repositories, and TensorRT plans."""

import argparse
import errno
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client.errors import ContractError
from export import serving_options
from export.arguments import Parser, number
from export.engine import command as engine
from export.engine.switch import TENSORRT
from export.errors import ExportError, GraphError, ParityError
from export.process import Progress, interrupt_on_termination, quiet_nemo, sleep_when_idle
from export.serving import Serving
from export.tensors import MAX_DURATION_S
from export.verification.thresholds import THRESHOLDS

if TYPE_CHECKING:
    from export.verification.verify import Verification

_FLAG_NAMES: Final = {
    "max_duration_s": "max_duration",
    "through_triton": "without_triton",
    "workspace_gib": "workspace",
}
"""Of the Python options that errors name, where the flag is called otherwise."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 1 when not, 2 for wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ExportError, ContractError) as error:
        sys.stderr.write(f"export: {error}{_flags(error, options)}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"export: {error}{_room(error, options)}\n")
        return 1
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"export: the package {error.name} is not installed here: use .venv-export/bin/python, "
            "which `make setup` makes, or run pip install '.[export]' in the checkout\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("export: interrupted\n")
        return 130
    return 0


def _flags(error: Exception, options: argparse.Namespace) -> str:
    """The flags of this command for the options that ``error`` names."""
    names = [_FLAG_NAMES.get(name, name) for name in getattr(error, "options", ())]
    flags = [f"--{name.replace('_', '-')}" for name in names if hasattr(options, name)]
    return f" ({', '.join(flags)})" if flags else ""


def _room(error: OSError, options: argparse.Namespace) -> str:
    """The free space where a command writes: a full disk's error names no file."""
    if error.errno != errno.ENOSPC:
        return ""
    folders = {Path(tempfile.gettempdir()), getattr(options, "repository", Path()).resolve().parent}
    free = (
        f"{folder} has {shutil.disk_usage(folder).free / 1e6:,.0f} MB free" for folder in folders
    )
    return f" ({', '.join(sorted(free))}): make room, or set TMPDIR to another folder"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m export",
        description="NeMo checkpoints to verified Triton model repositories, and TensorRT plans.",
    )
    parser.add_version()
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], None], summary: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=f"{summary}.")
        command.set_defaults(run=run)
        return command

    build = add("build", _build, "Export a checkpoint, verify it, and publish it")
    verify = add("verify", _verify, "Compare an exported model with its checkpoint")
    inspect = add("inspect", _inspect, "Show what a checkpoint holds")
    configure = add("configure", _configure, "Change how Triton serves a model")
    engine.add_arguments(add("engine", engine.run, "Build TensorRT plans, beside the GPU"))
    for command in (build, verify, inspect):
        command.add_argument(
            "--checkpoint", required=True, help="a .nemo file, or a name on NGC or Hugging Face"
        )
    for command in (build, verify, configure):
        command.add_argument("--name", required=True, help="the model's name for clients")
        command.add_argument(
            "--repository",
            type=Path,
            default=Path("model_repository"),
            metavar="DIR",
            help="the model repository (default %(default)s)",
        )
    for command in (build, configure):
        serving_options.add_arguments(command)
    for command in (build, verify):
        command.add_argument(
            "--manifest", type=Path, metavar="FILE", help="verify on these utterances as well"
        )
    _add_build_options(build)
    verify.add_argument("--url", help="a Triton that serves the repository (default: start one)")
    return parser


def _add_build_options(build: argparse.ArgumentParser) -> None:
    build.add_argument(
        "--precision",
        choices=tuple(THRESHOLDS),
        help="default: fp32; for --serving cpu with a calibration manifest, int8 if it is as good",
    )
    build.add_argument(
        "--calibration-manifest",
        type=Path,
        metavar="FILE",
        help="speech that int8 takes its ranges from",
    )
    build.add_argument(
        "--accelerator", choices=(TENSORRT,), help="let ONNX Runtime run the graphs with TensorRT"
    )
    build.add_argument(
        "--max-duration",
        type=number(0.001, MAX_DURATION_S, "seconds"),
        metavar="SECONDS",
        help="the longest utterance (default: 120, and 60 for encoders with attention)",
    )
    build.add_argument(
        "--without-triton", action="store_true", help="verify in bare ONNX Runtime only"
    )
    build.add_argument(
        "--force", action="store_true", help="publish even when verification fails, and record it"
    )


def _build(options: argparse.Namespace) -> None:
    from export.preflight import check_build

    serving = _build_serving(options)
    precision, fallback = _precisions(options, serving)
    manifests = (options.manifest, options.calibration_manifest)
    check_build(options.checkpoint, options.repository, options.name, serving, manifests)
    quiet_nemo()
    from export.assemble import Recipe
    from export.build import BuildOptions, build
    from export.checkpoint import load_checkpoint

    with _status() as progress:
        progress("loading the checkpoint")
        checkpoint = load_checkpoint(options.checkpoint)
    for note in checkpoint.notes:
        sys.stderr.write(f"{checkpoint.name}: {note}\n")
    recipe = Recipe(
        options.name,
        precision,
        options.accelerator,
        options.max_duration,
        options.calibration_manifest,
        serving,
    )
    build_options = BuildOptions(
        options.repository,
        recipe,
        fallback,
        options.manifest,
        through_triton=not options.without_triton,
        force=options.force,
    )

    def tell_rejected(rejected: "Verification | GraphError") -> None:
        if isinstance(rejected, GraphError):
            why = f"{precision} cannot be built ({rejected})"
        else:
            _print_summary(rejected, options)
            why = f"{precision} is not as good, see above"
        sys.stdout.write(f"{why}: {fallback} is built\n")

    with _status() as progress:
        built = build(checkpoint, build_options, progress, tell_rejected)
    _print_summary(built.verification, options)
    if not built.published:
        raise ParityError(
            f"{options.name} was not published: it differs from {options.checkpoint}, see above"
            " (--force publishes it all the same)"
        )
    if not built.verification.passed:
        sys.stdout.write("published although verification failed (--force)\n")
    contract = built.contract
    sys.stdout.write(
        f"{options.repository / options.name}: {contract.checkpoint} in {contract.precision},"
        f" {contract.sample_rate_hz} Hz, {len(contract.vocabulary)} {contract.vocabulary_kind}"
        f" units, a frame each {1000 * contract.frame_stride_s:g} ms, serving: {serving.preset}."
        " Restart a running server to pick up the new export.\n"
    )


def _print_summary(verification: "Verification", options: argparse.Namespace) -> None:
    from export.verification.report import print_summary

    print_summary(verification)
    if verification.precision == "int8" and options.manifest is None:
        sys.stdout.write("judged on calibration speech: --manifest gives an independent figure\n")


def _build_serving(options: argparse.Namespace) -> Serving:
    serving = serving_options.serving_of(options)
    if serving.cpu and options.accelerator is not None:
        raise ExportError(
            "--serving cpu runs on the CPU alone, where --accelerator tensorrt does nothing: choose"
            " --serving throughput, or leave the accelerator out"
        )
    return serving


def _precisions(options: argparse.Namespace, serving: Serving) -> tuple[str, str | None]:
    """The precision to build, and its fallback."""
    calibrated = options.calibration_manifest is not None
    if options.precision is None and serving.cpu and calibrated:
        return "int8", "fp32"
    if options.precision is None and serving.cpu:
        sys.stderr.write("int8 is faster on a CPU: give --calibration-manifest to have it\n")
    if options.precision == "int8" and not calibrated:
        raise ExportError(
            "int8 takes its ranges from speech: give --calibration-manifest, some hundred"
            " utterances like those to be transcribed"
        )
    if calibrated and options.precision != "int8":
        raise ExportError(
            "--calibration-manifest is for --precision int8, or --serving cpu without a precision:"
            " leave it out"
        )
    return options.precision or "fp32", None


def _configure(options: argparse.Namespace) -> None:
    from export.configure import reconfigure

    serving = serving_options.serving_of(options)
    contract = reconfigure(options.repository, options.name, serving)
    sys.stdout.write(
        f"{options.repository / options.name}: served for {serving.preset}, with"
        f" {len(contract.routes)} queues for length ranges beside the main one. Restart a running"
        " server to pick this up.\n"
    )


def _verify(options: argparse.Namespace) -> None:
    from export.preflight import check_checkpoint, check_manifests
    from export.record import check_models
    from export.repository import read_contract

    read_contract(options.repository, options.name)
    check_models(options.repository, options.name)
    check_checkpoint(options.checkpoint)
    check_manifests([options.manifest])
    quiet_nemo()
    from export.checkpoint import load_checkpoint
    from export.verification.cases import generated_cases, manifest_cases
    from export.verification.declarations import check_origin, verifiable_contract
    from export.verification.report import print_table
    from export.verification.triton import embedded_server
    from export.verification.verify import Candidate, verify

    contract = verifiable_contract(options.repository, options.name)
    cases = generated_cases(contract)
    if options.manifest is not None:
        cases += manifest_cases(options.manifest, contract)
    server: AbstractContextManager[str] = (
        nullcontext(options.url)
        if options.url
        else embedded_server(options.repository, contract.models(options.name))
    )
    with _status() as progress:
        progress("loading the checkpoint")
        checkpoint = load_checkpoint(options.checkpoint)
        check_origin(contract, checkpoint)
        with server as url:
            candidate = Candidate(options.repository, options.name, url)
            verification = verify(checkpoint, candidate, cases, progress)
    print_table(verification, contract.sample_rate_hz)
    if not verification.passed:
        raise ParityError(f"{options.name} differs from {options.checkpoint}: see above")


def _inspect(options: argparse.Namespace) -> None:
    from export.preflight import check_checkpoint

    check_checkpoint(options.checkpoint)
    quiet_nemo()
    from export.checkpoint import load_checkpoint
    from export.inspection import print_inspection

    print_inspection(load_checkpoint(options.checkpoint))


@contextmanager
def _status() -> Iterator[Progress]:
    """Show steps on standard error: in place on a terminal, as lines elsewhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)

    def line(step: str) -> None:
        if not step.startswith("verified"):  # a line for each utterance would hide the others
            console.print(step)

    with console.status("") as status:
        yield (lambda step: status.update(Text(step))) if console.is_terminal else line


if __name__ == "__main__":
    interrupt_on_termination()
    sleep_when_idle()
    sys.exit(main())
