"""Where things lie in a bundle, and what it says of its models."""

import json
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
WEIGHTS: Final = "weights.json"
FACTS: Final = "model.json"
ENVIRONMENT: Final = "environment"


@dataclass(frozen=True)
class ModelFacts:
    """What a reader of the results wants to know of a model; ``parameters`` are the encoder's."""

    title: str
    parameters: int
    sample_rate_hz: int


def model_folder(bundle: Path, name: str) -> Path:
    """The folder of the model ``name``; raises :class:`BundleError` when there is none."""
    folder = bundle / MODELS / name
    if not (folder / FACTS).is_file():
        there = sorted(path.parent.name for path in (bundle / MODELS).glob(f"*/{FACTS}"))
        raise BundleError(
            f"no model {name!r} in the bundle {bundle}, which has {', '.join(there) or 'none'}:"
            " check the name, or the folder that the parts were joined into"
        )
    return folder


def link_graphs(folder: Path) -> None:
    """Put the graphs of the model's ``folder``, weights and all, into its other repository too.

    That one travels without: it only says otherwise how they are served. Hard links, because ONNX
    Runtime refuses weights that lie, a symbolic link followed, elsewhere than the graph.
    """
    plain = {path.name: path for path in (folder / REPOSITORY).iterdir()}
    for model in (folder / THROUGHPUT).iterdir():
        # The queue of a length range is named after what it is a queue of.
        origin = max((name for name in plain if model.name.startswith(name)), key=len)
        for file in plain[origin].glob("[0-9]*/*"):
            linked = model / file.parent.name / file.name
            linked.unlink(missing_ok=True)
            linked.hardlink_to(file)


def read_facts(folder: Path) -> ModelFacts:
    """The facts in the model's ``folder``; raises :class:`BundleError` when they are not such."""
    try:
        return ModelFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{folder / FACTS} cannot be read: {error}: join again") from error
