"""Files of a model repository, for the code that writes it, verifies it, or builds its engines.

Standard library only, as the engine command is.
"""

from pathlib import Path
from typing import Final

from export.errors import RepositoryError

CONFIG_FILE: Final = "config.pbtxt"
GRAPH_FILE: Final = "model.onnx"


def version_folder(model: Path) -> Path:
    """The version folder of the model in the folder ``model``.

    Raises ``RepositoryError`` unless there is exactly one.
    """
    found = [path for path in model.glob("*") if path.name.isdecimal() and path.is_dir()]
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "none"
        raise RepositoryError(
            f"{model} has the versions {names}, expected one: copy the model again into an empty"
            " folder, or build it again",
            path=model,
        )
    return found[0]


def model_folder(repository: Path, name: str) -> Path:
    """The folder of the model ``name``; raises ``RepositoryError`` when there is none."""
    folder = repository / name
    if not folder.is_dir():
        raise RepositoryError(
            f"no model {name!r} in {repository}: build it first, or correct the name", path=folder
        )
    return folder


def read_config_text(path: Path) -> str:
    """The text of the configuration at ``path``; raises ``RepositoryError``."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RepositoryError(
            f"{path} cannot be read ({error}): build the model again", path=path
        ) from error
