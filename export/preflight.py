"""Checks before a build that need no NeMo and take less than a second."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from export.archive import check_archive, local_file
from export.config import route_name, step_name
from export.errors import ExportError, RepositoryError
from export.repository import check_name, check_replaceable, staging
from export.serving import Serving
from export.tensors import DECODER, ENCODER, PREPROCESSOR

_ROLES: Final = (PREPROCESSOR, ENCODER, DECODER)


def check_build(
    checkpoint: str,
    repository: Path,
    name: str,
    serving: Serving,
    manifests: Iterable[Path | None],
) -> None:
    """Raise ``ExportError`` when the build of ``name`` is bound to fail.

    Checks the checkpoint's file unless it is a pretrained model's, the name, the repository and the
    manifests.
    """
    check_name(name)
    weights_bytes = check_checkpoint(checkpoint)
    check_manifests(manifests)
    check_replaceable(repository, built_names(name, serving), name)
    check_writable(repository, weights_bytes)


def check_checkpoint(checkpoint: str) -> int:
    """The size of the weights in the file at ``checkpoint``, in bytes; 0 for a pretrained name.

    Raises ``CheckpointError`` when the file is not there or damaged.
    """
    path = local_file(checkpoint)
    return check_archive(path) if path else 0


def check_manifests(manifests: Iterable[Path | None]) -> None:
    """Raise ``ExportError`` for a manifest that is not a file."""
    for manifest in manifests:
        if manifest is not None and not manifest.is_file():
            raise ExportError(
                f"no manifest at {manifest}: correct the path of the JSON Lines file", path=manifest
            )


def check_writable(repository: Path, bytes_needed: int) -> None:
    """Raise ``RepositoryError`` unless models can be moved into ``repository``.

    Tries it with an empty file from a staging folder.
    """
    for path in (repository, *repository.parents):
        if path.exists() and not path.is_dir():
            raise RepositoryError(
                f"the repository {repository} cannot be a folder, because {path} is a file: give"
                " another path",
                path=path,
            )
    with staging(repository) as staged:
        free = shutil.disk_usage(staged).free
        if free < bytes_needed:
            raise RepositoryError(
                f"{repository} has {free / 1e6:,.0f} MB free, and the model takes"
                f" {bytes_needed / 1e6:,.0f} MB: make room there, or give another repository",
                path=repository,
            )
        if not repository.exists():
            return  # made when publishing, beside the staging folder
        probe = staged / "probe"
        probe.touch()
        moved = repository / f"{staged.name}.probe"
        try:
            probe.rename(moved)
        except OSError as error:
            raise RepositoryError(
                f"cannot move models into the repository {repository}: {error.strerror}. Its"
                " folder must be writable, and on the file system of its parent, where models"
                " are staged: mount a volume at the parent",
                path=repository,
            ) from error
        moved.unlink()


def built_names(name: str, serving: Serving) -> list[str]:
    """Every model that a build of ``name`` may write."""
    parts = [name, *(step_name(name, role) for role in _ROLES)]
    routed = (name, step_name(name, PREPROCESSOR))
    return parts + [route_name(part, s) for s in serving.ranges_s for part in routed]
