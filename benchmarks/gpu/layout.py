"""Where things lie in a bundle, what it says of its models, and its parts."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.errors import BundleError

WHEELS: Final = "wheels"
PROJECT: Final = "project"
MODELS: Final = "models"
REPOSITORY: Final = "repository"
THROUGHPUT: Final = "repository_throughput"
REPOSITORIES: Final = {"balanced": REPOSITORY, "throughput": THROUGHPUT}
"""By the presets of ``python -m export`` that they are served with."""
PROGRAMS: Final = "programs"
FACTS: Final = "model.json"
ENVIRONMENT: Final = "environment"
CHECKSUMS: Final = "SHA256SUMS"
"""Of the parts, as ``sha256sum --check`` reads them."""
PRECISIONS: Final = ("fp32", "fp16")


@dataclass(frozen=True)
class ModelFacts:
    """What a reader of the results wants to know of a model; ``parameters`` are the encoder's."""

    title: str
    parameters: int
    sample_rate_hz: int


def model_folder(bundle: Path, name: str) -> Path:
    """The folder of the model ``name``; raises ``BundleError`` when there is none."""
    folder = bundle / MODELS / name
    if not (folder / FACTS).is_file():
        there = sorted(path.parent.name for path in (bundle / MODELS).glob(f"*/{FACTS}"))
        raise BundleError(
            f"no model {name!r} in the bundle {bundle}, which has {', '.join(there) or 'none'}:"
            " check the name, or the folder that the parts were joined into"
        )
    return folder


def read_facts(folder: Path) -> ModelFacts:
    """The facts in the model's ``folder``; raises ``BundleError`` when they are not such."""
    try:
        return ModelFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{folder / FACTS} cannot be read: {error}: join again") from error


def split(folder: Path, destination: Path, limit_bytes: int) -> list[Path]:
    """Write ``folder`` as parts of at most ``limit_bytes`` into ``destination``; their paths.

    They are one compressed tar, cut by ``split``, with their checksums: ``cat`` joins them.
    """
    destination.mkdir(parents=True, exist_ok=True)
    for old in destination.glob("part-*"):
        old.unlink()
    cut = ["split", f"--bytes={limit_bytes}", "--numeric-suffixes", "--suffix-length=3"]
    pack = ["tar", "--create", "--gzip", "--directory", str(folder), "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        subprocess.run([*cut, "-", "part-"], cwd=destination, stdin=packing.stdout, check=True)
    if packing.returncode:
        raise BundleError(f"tar could not pack {folder}: see what it said")
    parts = sorted(destination.glob("part-*"))
    sums = [f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n" for part in parts]
    (destination / CHECKSUMS).write_text("".join(sums), encoding="utf-8")
    return parts
