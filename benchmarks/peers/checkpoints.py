"""``python -m benchmarks.peers.checkpoints``: full-size ``.nemo`` files with random weights.

Architectures of NeMo's configurations, for speed alone; with 80 mel bands and 25 ms windows, which
every peer can compute. With ``--int8 M.jsonl`` it quantises our model of each instead, in every
layer: an export proper gives layers back to fp32 until the tokens agree, which those of random
weights do not, and would be refused. Runs in the environment that has NeMo.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.layout import DEFAULT_FOLDER
from client.commands.parser import CommandParser
from export.process import quiet_nemo

NAMES = ("fastconformer", "quartznet")


def main(arguments: list[str] | None = None) -> int:
    """Write the checkpoints that were named, or their models in int8."""
    parser = CommandParser("python -m benchmarks.peers.checkpoints", __doc__)
    add = parser.add_argument
    add("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    add("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="(%(default)s)")
    add("--int8", type=Path, metavar="M.jsonl", help="write NAME_int8, calibrated on these")
    add("--cores", type=int, default=2, metavar="N", help="encoders to serve with (%(default)s)")
    parsed = parser.parse_args(arguments)
    quiet_nemo()
    for name in parsed.names:
        checkpoint = parsed.folder / "checkpoints" / f"{name}.nemo"
        if parsed.int8 is None:
            _write_checkpoint(name, checkpoint)
        else:
            _write_int8(name, checkpoint, parsed)
    return 0


def _write_checkpoint(name: str, path: Path) -> None:
    from omegaconf import open_dict  # noqa: PLC0415  # help must not wait for NeMo

    from export.verification.random_models import (  # noqa: PLC0415
        FULL_SIZE,
        preprocessor,
        random_checkpoint,
    )

    architecture = FULL_SIZE[name]
    if name == "quartznet":
        architecture = replace(architecture, preprocessor=preprocessor(80))
    model = random_checkpoint(architecture).model
    with open_dict(model.cfg):
        model.cfg.validation_ds = {}  # NeMo's transcribe looks into it
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save_to(str(path))
    sys.stderr.write(f"{path}: {architecture.name}, random weights\n")


def _write_int8(name: str, checkpoint: Path, parsed: argparse.Namespace) -> None:
    from export.assemble import Recipe, assemble  # noqa: PLC0415  # help must not wait for NeMo
    from export.checkpoint import load_checkpoint  # noqa: PLC0415
    from export.repository import publish, staging  # noqa: PLC0415
    from export.serving import cpu  # noqa: PLC0415

    repository = parsed.folder / "repository"
    recipe = Recipe(
        f"{name}_int8",
        "int8",
        calibration_manifest=parsed.int8,
        serving=cpu(parsed.cores),
        least_agreement=0.0,
    )
    with staging(repository) as staged:
        assemble(load_checkpoint(str(checkpoint)), recipe, staged)
        publish(staged, repository, recipe.name)
    sys.stderr.write(f"{repository / recipe.name}: every layer in int8, not verified\n")


if __name__ == "__main__":
    sys.exit(main())
