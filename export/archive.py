"""A checkpoint's file: its path, a check of its archive, and the configuration in it.

Needs no NeMo, so that a wrong path or a damaged file is reported within a second.
"""

import tarfile
import zlib
from pathlib import Path
from typing import Final

from export.errors import CheckpointError

CONFIG_FILE: Final = "model_config.yaml"
WEIGHTS_FILE: Final = "model_weights.ckpt"
_PARTS: Final = {CONFIG_FILE: "the model's configuration", WEIGHTS_FILE: "its weights"}


def local_file(checkpoint: str) -> Path | None:
    """The ``.nemo`` file at the path ``checkpoint``; None for the name of a pretrained model.

    Raises ``CheckpointError`` for a path without such a file.
    """
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        raise CheckpointError(
            f"no checkpoint file at {path}: it is a folder, give a .nemo file", path=path
        )
    if path.exists():
        return path
    is_path = path.suffix == ".nemo" or path.is_absolute() or len(path.parts) > 2
    if is_path or checkpoint.startswith("."):
        raise CheckpointError(
            f"no checkpoint file at {path}: correct the path of the .nemo file", path=path
        )
    return None


def check_archive(path: Path) -> int:
    """Read ``path`` to its end; the size of the weights in it, in bytes.

    Raises ``CheckpointError`` when it is no archive, is damaged, or lacks a part.
    """
    if not tarfile.is_tarfile(path):
        raise CheckpointError(
            f"{path} is not a .nemo file: expected a tar archive with {CONFIG_FILE} and"
            f" {WEIGHTS_FILE} inside",
            path=path,
        )
    try:
        with tarfile.open(path) as archive:
            sizes = {str(Path(member.name)): member.size for member in archive}  # without ./
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    for part, meaning in _PARTS.items():
        if part not in sizes:
            raise CheckpointError(
                f"{path} has no {part}, {meaning}: save the model with NeMo's save_to", path=path
            )
    return sizes[WEIGHTS_FILE]


def read_config(path: Path) -> str:
    """The text of ``model_config.yaml`` in an archive that ``check_archive`` found whole."""
    with tarfile.open(path) as archive:
        for member in archive:
            if str(Path(member.name)) == CONFIG_FILE and (file := archive.extractfile(member)):
                try:
                    return file.read().decode("utf-8")
                except UnicodeDecodeError as error:
                    raise _damaged(path, f"{CONFIG_FILE} is not UTF-8") from error
    raise CheckpointError(
        f"{path} has no {CONFIG_FILE}: save the model with NeMo's save_to", path=path
    )


def _damaged(path: Path, cause: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged ({cause}): fetch or copy the file again", path=path)
