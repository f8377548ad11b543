"""The metadata of a plan, and whether the plan fits this machine.

A plan runs only with the version of TensorRT and the kind of GPU that built it. ``plan.json``
beside ``model.plan`` names them; Triton itself would only fail to load the plan.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from export.engine.device import Gpu
from export.engine.files import write_partial
from export.engine.profiles import Profile
from export.errors import EngineError
from export.record import sha256_of

PLAN_FILE: Final = "model.plan"
METADATA_FILE: Final = "plan.json"
METADATA_VERSION: Final = 1

_REBUILD: Final = "build the plans again"


@dataclass(frozen=True)
class PlanMetadata:
    """How a plan was built.

    ``graph`` are its source files with their SHA-256. ``islands`` are the layers that compute in
    fp32 beyond the graph's own.
    """

    tensorrt: str
    gpu: str
    compute_capability: str
    graph: Mapping[str, str]
    plan_sha256: str
    precision: str
    profiles: Mapping[str, Profile]
    islands: tuple[str, ...]
    date: str
    version: int = METADATA_VERSION

    def to_json(self) -> str:
        """The metadata as it stands in ``plan.json``."""
        data = asdict(self)
        data["profiles"] = {name: item.to_json() for name, item in self.profiles.items()}
        return json.dumps(data, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "PlanMetadata":
        """Read ``plan.json``; raises ``EngineError`` when it is missing or not whole."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["profiles"] = {
                name: Profile.from_json(item) for name, item in data["profiles"].items()
            }
            data["islands"] = tuple(data["islands"])
            return cls(**{field.name: data[field.name] for field in fields(cls)})
        except OSError as error:
            raise EngineError(
                f"{path} cannot be read ({error.strerror}): {_REBUILD}", path=path
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(
                f"{path} is not a plan's metadata ({error}): {_REBUILD}", path=path
            ) from error


def write_plan(version_folder: Path, plan: bytes, metadata: PlanMetadata) -> None:
    """Write a plan and its metadata, for ``commit_partial`` to put in place."""
    write_partial(version_folder / PLAN_FILE, plan)
    write_partial(version_folder / METADATA_FILE, metadata.to_json().encode())


def mismatches(
    version_folder: Path, graph: Mapping[str, str], tensorrt: str, gpus: Sequence[Gpu]
) -> Iterator[str]:
    """Why the plan in ``version_folder`` cannot be served here; nothing when it can.

    ``graph`` are the repository's files of the graph, ``tensorrt`` is the version here, ``gpus``
    are all that Triton will use. Raises ``EngineError`` when there is no metadata.
    """
    metadata = PlanMetadata.read(version_folder / METADATA_FILE)
    plan = version_folder / PLAN_FILE
    if not plan.is_file():
        yield f"{plan} is not there"
    elif sha256_of(plan) != metadata.plan_sha256:
        yield f"{plan} is not the plan that {METADATA_FILE} beside it is about"
    if metadata.graph != graph:
        yield f"{plan} was built from another export"
    if _release(metadata.tensorrt) != _release(tensorrt):
        yield f"{plan} was built with TensorRT {metadata.tensorrt}, here is {tensorrt}"
    built_on = Gpu(metadata.gpu, metadata.compute_capability)
    for gpu in dict.fromkeys(gpus):
        if gpu != built_on:
            yield f"{plan} was built on {built_on}, here is {gpu}"


def sha256_of_bytes(data: bytes) -> str:
    """The SHA-256 of ``data``, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _release(version: str) -> tuple[str, ...]:
    """Major, minor and patch: only the package adds a build number."""
    return tuple(version.split(".")[:3])
