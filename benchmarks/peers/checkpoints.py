"""``python -m benchmarks.peers.checkpoints``: full-size ``.nemo`` files with random weights.

Architectures of NeMo's configurations, for speed alone; with 80 mel bands and 25 ms windows, which
every peer can compute. Runs in the environment that has NeMo.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.layout import DEFAULT_FOLDER
from export.process import quiet_nemo

NAMES = ("fastconformer", "quartznet")


def main(arguments: list[str] | None = None) -> int:
    """Write the checkpoints that were named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.checkpoints")
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR")
    parsed = parser.parse_args(arguments)
    quiet_nemo()
    from omegaconf import open_dict  # noqa: PLC0415  # help must not wait for NeMo

    from export.verification.random_models import (  # noqa: PLC0415  # help must not wait for NeMo
        FULL_SIZE,
        preprocessor,
        random_checkpoint,
    )

    folder = parsed.folder / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    for name in parsed.names:
        architecture = FULL_SIZE[name]
        if name == "quartznet":
            architecture = replace(architecture, preprocessor=preprocessor(80))
        path = folder / f"{name}.nemo"
        model = random_checkpoint(architecture).model
        with open_dict(model.cfg):
            model.cfg.validation_ds = {}  # NeMo's transcribe looks into it
        model.save_to(str(path))
        sys.stderr.write(f"{path}: {architecture.name}, random weights\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
