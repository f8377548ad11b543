"""The part of the build record that building engines needs: graphs and their shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.engine.profiles import Profile
from export.errors import RepositoryError
from export.record import RECORD_FILE, read_record


@dataclass(frozen=True)
class EngineModel:
    """One graph of a repository.

    ``files`` are its files with their SHA-256; ``obstacles`` say why TensorRT cannot run it.
    """

    name: str
    files: Mapping[str, str]
    obstacles: tuple[str, ...]
    profiles: Mapping[str, Profile]


@dataclass(frozen=True)
class EngineRecord:
    """The precision of a build and its graphs, in the order in which they run."""

    precision: str
    models: tuple[EngineModel, ...]


def read_engine_record(repository: Path, name: str) -> EngineRecord:
    """Read the record of the models called ``name``.

    Raises ``RepositoryError`` when it is missing, damaged, or without TensorRT's part.
    """
    data = read_record(repository, name)
    try:
        return EngineRecord(
            precision=str(data["precision"]),
            models=tuple(_model(key, item) for key, item in data["models"].items()),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RepositoryError(
            f"{repository / name / RECORD_FILE} does not say how to build engines"
            f" ({type(error).__name__}: {error}): build the model again with this version of the"
            " project",
            path=repository / name / RECORD_FILE,
        ) from error


def _model(name: str, data: Mapping[str, Any]) -> EngineModel:
    tensorrt = data["tensorrt"]
    obstacles = tuple(tensorrt["obstacles"])
    # A graph that TensorRT cannot run needs no profiles.
    profiles = {} if obstacles else tensorrt["profiles"]
    return EngineModel(
        name=name,
        files={str(file): str(sha256) for file, sha256 in data["files"].items()},
        obstacles=obstacles,
        profiles={tensor: Profile.from_json(item) for tensor, item in profiles.items()},
    )
