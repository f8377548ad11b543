"""The build record: what a published model was made of, with what, and how it was verified.

``REPOSITORY/NAME/build.json``, plain JSON. Standard library only, because the engine
command reads records beside the GPU.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from export.errors import RepositoryError
from export.layout import model_folder, version_folder

DISTRIBUTION: Final = "nemo-ctc-triton"
"""The name under which this project is installed."""
RECORD_VERSION: Final = 1
RECORD_FILE: Final = "build.json"

_READ_BYTES: Final = 1 << 24


@dataclass(frozen=True)
class ModelRecord:
    """One graph: the SHA-256 of its files, and what was decided for it.

    ``files`` are those of the version folder by name. ``kept_in_fp32`` are the nodes that a lower
    precision left alone. ``tensorrt`` says what keeps TensorRT from running the graph
    (``obstacles``) and in which shapes it will (``profiles``).
    """

    role: str
    files: Mapping[str, str]
    kept_in_fp32: tuple[str, ...]
    tensorrt: Mapping[str, Any]


@dataclass(frozen=True)
class BuildRecord:
    """A whole build; ``date`` is UTC in ISO 8601, ``tools`` are versions by distribution.

    ``checkpoint_notes`` say what was left out of the checkpoint's saved configuration. ``serving``
    is how Triton runs it. ``manifests`` are the names and SHA-256 of the manifests for calibration
    and verification.
    """

    name: str
    date: str
    checkpoint: str
    checkpoint_sha256: str
    precision: str
    accelerator: str | None
    serving: Mapping[str, Any]
    tools: Mapping[str, str]
    manifests: Mapping[str, Mapping[str, str]]
    models: Mapping[str, ModelRecord]
    gate: Mapping[str, Any]
    checkpoint_notes: tuple[str, ...] = ()
    record_version: int = RECORD_VERSION


def write_record(repository: Path, record: BuildRecord) -> None:
    """Write ``record`` into its model's folder in ``repository``."""
    write_json(repository, record.name, asdict(record))


def write_json(repository: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write the record of model ``name`` as ``read_record`` gives it."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (repository / name / RECORD_FILE).write_text(text, encoding="utf-8")


def read_record(repository: Path, name: str) -> dict[str, Any]:
    """The record of model ``name`` as JSON; raises ``RepositoryError`` when it has none."""
    path = model_folder(repository, name) / RECORD_FILE
    fix = "build the model again with this version of the project"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepositoryError(f"no build record at {path}: {fix}", path=path) from error
    except ValueError as error:
        raise RepositoryError(f"{path} is not JSON ({error}): {fix}", path=path) from error
    if not isinstance(record, dict) or record.get("record_version") != RECORD_VERSION:
        raise RepositoryError(
            f"{path} is not a build record of version {RECORD_VERSION}: {fix}", path=path
        )
    return record


def check_models(repository: Path, name: str) -> None:
    """Raise ``RepositoryError`` unless ``name`` has the graphs that were verified.

    The preprocessors of length ranges have the main preprocessor's graph.
    """
    for model, entry in read_record(repository, name)["models"].items():
        for folder in (repository / model, *sorted(repository.glob(f"{model}_upto_*"))):
            check_files(version_folder(folder), entry["files"])


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise ``RepositoryError`` unless ``folder`` holds ``files``, SHA-256 by name."""
    for name, sha256 in files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256:
            raise RepositoryError(
                f"{folder / name} is not the file that was exported: its SHA-256 differs from the"
                " one in the build record. Copy it again, or export the model again",
                path=folder / name,
            )


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in ``folder``, by name."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
