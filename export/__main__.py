"""``python -m export``: build a model repository from a NeMo checkpoint, and verify it."""

import argparse
import logging
import os
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import track

from client.errors import ContractError
from export.errors import ExportError, ParityError

PRECISIONS = ("fp32",)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 1 when not, 2 for wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    _quiet_nemo()
    try:
        options.run(options)
    except (ExportError, ContractError, OSError) as error:
        sys.stderr.write(f"export: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("export: interrupted\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="export a checkpoint into a model repository")
    build.add_argument("--precision", choices=PRECISIONS, default="fp32")
    build.set_defaults(run=_build)
    verify = commands.add_parser("verify", help="compare an exported model with its checkpoint")
    verify.add_argument("--manifest", type=Path, help="compare on these utterances as well")
    verify.add_argument("--url", help="a Triton that serves the repository (default: start one)")
    verify.set_defaults(run=_verify)
    for command in (build, verify):
        command.add_argument(
            "--checkpoint", required=True, help="a .nemo file, or a name on NGC or Hugging Face"
        )
        command.add_argument("--name", required=True, help="the model's name for clients")
        command.add_argument("--repository", required=True, type=Path, metavar="DIR")
    return parser


def _build(options: argparse.Namespace) -> None:
    from export.build import BuildOptions, build
    from export.checkpoint import load_checkpoint
    from export.repository import check_name

    check_name(options.name)
    checkpoint = load_checkpoint(options.checkpoint)
    contract = build(checkpoint, BuildOptions(options.repository, options.name, options.precision))
    sys.stdout.write(
        f"{options.repository / options.name}: {contract.checkpoint} in {contract.precision},"
        f" {contract.sample_rate_hz} Hz, {len(contract.vocabulary)} {contract.vocabulary_kind}"
        f" units, a frame each {1000 * contract.frame_stride_s:g} ms. A server that runs already"
        " serves it once started again.\n"
    )


def _verify(options: argparse.Namespace) -> None:
    from export.checkpoint import load_checkpoint
    from export.verification.cases import generated_cases, manifest_cases
    from export.verification.report import print_verification
    from export.verification.triton import embedded_server
    from export.verification.verify import Verification, read_contract, verify

    contract = read_contract(options.repository, options.name)
    cases = generated_cases(contract)
    if options.manifest is not None:
        cases += manifest_cases(options.manifest, contract)
    checkpoint = load_checkpoint(options.checkpoint)
    server: AbstractContextManager[str] = (
        nullcontext(options.url)
        if options.url
        else embedded_server(options.repository, options.name)
    )
    progress = Console(stderr=True)
    with server as url:
        steps = verify(checkpoint, options.repository, options.name, cases, url)
        for step in track(steps, "verifying", total=len(cases) + 1, console=progress):
            if isinstance(step, Verification):
                verification = step
    print_verification(verification, contract.sample_rate_hz)
    if not verification.passed:
        raise ParityError(f"{options.name} differs from {options.checkpoint}: see above")


def _quiet_nemo() -> None:
    """Keep the chatter of NeMo and its telemetry out of the way of our own messages.

    NeMo's errors are silenced too: each comes back as an exception that we report.
    """
    warnings.filterwarnings("ignore")
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging

    nemo_logging.setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
