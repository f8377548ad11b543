"""Writing models into a repository that a server may be polling.

::

    REPOSITORY/
        NAME_preprocessor/  config.pbtxt  1/model.onnx
        NAME_encoder/       config.pbtxt  1/model.onnx
        NAME_decoder/       config.pbtxt  1/model.onnx
        NAME/               config.pbtxt  1/            the ensemble

Models are written to a staging folder beside the repository and renamed into it, so that
nothing half-written is ever seen, and an interrupted build leaves the old models in place.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.contract import CONTRACT_PARAMETER
from export.config import config_text
from export.errors import RepositoryError
from export.layout import CONFIG_FILE, GRAPH_FILE, VERSION

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_name(name: str) -> None:
    """Raise :class:`RepositoryError` unless ``name`` can name a model and its folder."""
    if not _NAME.fullmatch(name):
        raise RepositoryError(
            f"{name!r} cannot name a model: use letters, digits, '_', '-' and '.',"
            " beginning with a letter or digit"
        )


def graph_path(repository: Path, model: str) -> Path:
    """Where the graph of ``model`` lies."""
    return repository / model / VERSION / GRAPH_FILE


def write_config(repository: Path, config: ModelConfig) -> None:
    """Write ``config.pbtxt`` of ``config.name``, and make its version folder."""
    folder = repository / config.name
    (folder / VERSION).mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(config_text(config), encoding="utf-8")


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """A folder on the repository's file system but outside it, gone afterwards.

    Raises :class:`RepositoryError` when it cannot be made.
    """
    beside = repository.resolve().parent  # "." has a parent only when resolved
    try:
        beside.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{repository.name}.staging-", dir=beside)
    except OSError as error:
        raise RepositoryError(
            f"cannot make a staging folder beside the repository {repository}: {error}"
        ) from error
    with folder as staged:
        yield Path(staged)


def check_replaceable(repository: Path, inner: tuple[str, ...], ensemble: str) -> None:
    """Raise :class:`RepositoryError` when publishing would remove models that are not ours.

    Ours is an ensemble that carries a contract, and its inner models.
    """
    there = [name for name in (ensemble, *inner) if (repository / name).exists()]
    config = repository / ensemble / CONFIG_FILE
    if there and not (config.is_file() and f'key: "{CONTRACT_PARAMETER}"' in config.read_text()):
        raise RepositoryError(
            f"{repository} holds {', '.join(there)}, but no {ensemble} exported by this project:"
            " choose another name, or remove them"
        )


def publish(staged: Path, repository: Path, inner: tuple[str, ...], ensemble: str) -> None:
    """Move staged models into ``repository``: the old ensemble out first, the new one in last.

    In between the repository may lack the ensemble, but never has one over a mix of old and
    new models. On any failure the old models are put back. Raises :class:`RepositoryError`.
    """
    with tempfile.TemporaryDirectory(dir=staged) as folder:
        retired = Path(folder)
        try:
            repository.mkdir(exist_ok=True)
            for name in (ensemble, *inner):
                if (repository / name).exists():
                    (repository / name).rename(retired / name)
            for name in (*inner, ensemble):
                (staged / name).rename(repository / name)
        except BaseException as error:
            _restore(staged, retired, repository, (*inner, ensemble))
            if isinstance(error, OSError):
                raise RepositoryError(
                    f"cannot write to the repository {repository}: {error}; the models there"
                    " are unchanged. Models are renamed into it from beside it: its parent must"
                    " be writable and of the same file system, so mount a volume at the parent"
                ) from error
            raise


def _restore(staged: Path, retired: Path, repository: Path, names: tuple[str, ...]) -> None:
    for name in reversed(names):
        if not (staged / name).exists():
            (repository / name).rename(staged / name)
    for name in names:
        if (retired / name).exists():
            (retired / name).rename(repository / name)
