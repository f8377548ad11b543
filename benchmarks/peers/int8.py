"""``python -m benchmarks.peers.int8``: our model of a random checkpoint in int8, for speed alone.

Every layer is quantised: an export proper gives layers back to fp32 until the tokens agree, which
those of random weights do not, and would be refused. Runs in the environment that has NeMo.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.peers.layout import DEFAULT_FOLDER
from export.process import quiet_nemo


def main(arguments: list[str] | None = None) -> int:
    """Write ``NAME_int8`` beside ``NAME`` in the repository of the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.int8")
    add = parser.add_argument
    add("name", metavar="NAME", help="a checkpoint of benchmarks.peers.checkpoints")
    add("--calibration-manifest", type=Path, required=True, metavar="M.jsonl")
    add("--cores", type=int, default=2, metavar="N", help="encoders to serve with (%(default)s)")
    add("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR")
    parsed = parser.parse_args(arguments)
    quiet_nemo()
    from export.assemble import Recipe, assemble  # noqa: PLC0415  # help must not wait for NeMo
    from export.checkpoint import load_checkpoint  # noqa: PLC0415
    from export.repository import publish, staging  # noqa: PLC0415
    from export.serving import cpu  # noqa: PLC0415

    repository = parsed.folder / "repository"
    recipe = Recipe(
        f"{parsed.name}_int8",
        "int8",
        calibration_manifest=parsed.calibration_manifest,
        serving=cpu(parsed.cores),
        least_agreement=0.0,
    )
    checkpoint = load_checkpoint(str(parsed.folder / "checkpoints" / f"{parsed.name}.nemo"))
    with staging(repository) as staged:
        assemble(checkpoint, recipe, staged)
        publish(staged, repository, recipe.name)
    sys.stderr.write(f"{repository / recipe.name}: every layer in int8, not verified\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
