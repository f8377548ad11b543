"""Names of files in a model repository, for what writes it, verifies it, and builds engines of it.

Standard library only, as the engine command is.
"""

from pathlib import Path
from typing import Final

from export.errors import RepositoryError

CONFIG_FILE: Final = "config.pbtxt"
GRAPH_FILE: Final = "model.onnx"


def version_folder(model: Path) -> Path:
    """The folder of the one version that the model in the folder ``model`` has.

    Raises :class:`RepositoryError` when there is none, or another beside it.
    """
    found = [path for path in model.glob("*") if path.name.isdecimal() and path.is_dir()]
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "none"
        raise RepositoryError(
            f"{model} has the versions {names}, expected one: copy the model again into an empty"
            " folder, or build it again"
        )
    return found[0]
