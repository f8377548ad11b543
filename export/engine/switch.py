"""Chooses the backend that serves a model, by its ``config.pbtxt``.

::

    MODEL/config.pbtxt               what Triton reads
    MODEL/configs/tensorrt.pbtxt     what it would read for the plan
    MODEL/configs/onnxruntime.pbtxt  what it would read for the graph

Switching keeps the old config, edits included, and renames the other into its place, so that a
server polling the repository sees one of the two. Triton's ``--model-config-name`` also chooses
from ``configs``.
"""

import re
from pathlib import Path
from typing import Final

from export.engine.files import write_whole
from export.errors import RepositoryError
from export.layout import CONFIG_FILE, read_config_text

CONFIGS_FOLDER: Final = "configs"
TENSORRT: Final = "tensorrt"
ONNXRUNTIME: Final = "onnxruntime"
BACKENDS: Final = (TENSORRT, ONNXRUNTIME)

_BACKEND = re.compile(r'^backend: "(\w+)"$', re.MULTILINE)


def config_for(model: Path, backend: str) -> Path:
    """Where the config of ``model`` for ``backend`` is kept while another one serves."""
    return model / CONFIGS_FOLDER / f"{backend}.pbtxt"


def serving_backend(model: Path) -> str:
    """The backend that serves the model in this folder; raises ``RepositoryError``."""
    return _backend_of(model / CONFIG_FILE)


def check_switchable(model: Path, backend: str) -> None:
    """Raise ``RepositoryError`` unless ``switch`` could serve ``model`` by ``backend``."""
    if serving_backend(model) != backend and _backend_of(config_for(model, backend)) != backend:
        config = config_for(model, backend)
        raise RepositoryError(f"{config} is a config of another backend", path=config)


def switch(model: Path, backend: str) -> bool:
    """Serve the model in this folder by ``backend``; returns whether anything changed.

    Raises ``RepositoryError``; serving is then unchanged.
    """
    check_switchable(model, backend)
    current = serving_backend(model)
    if current == backend:
        return False
    serving, kept = model / CONFIG_FILE, config_for(model, backend)
    write_whole(config_for(model, current), read_config_text(serving).encode())
    write_whole(serving, read_config_text(kept).encode())
    return True


def _backend_of(config: Path) -> str:
    found = _BACKEND.search(read_config_text(config))
    if found is None:
        raise RepositoryError(f"{config} names no backend: build the model again", path=config)
    return found.group(1)
