"""Writing models into a repository that a server may be polling.

::

    REPOSITORY/
        NAME_preprocessor/  config.pbtxt  VERSION/model.onnx
        NAME_encoder/       config.pbtxt  VERSION/model.onnx
        NAME_decoder/       config.pbtxt  VERSION/model.onnx
        NAME/               config.pbtxt  VERSION/            the ensemble

and, where utterances of different lengths queue apart, for each of the length ranges::

        NAME_preprocessor_upto_4s/  NAME_upto_4s/

Models are written to a staging folder beside the repository and renamed into it, so that
nothing half-written is ever seen, and an interrupted build leaves the old models in place.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.errors import ContractError
from client.wire.contract import CONTRACT_PARAMETER, Contract
from export.config import config_text, parse_config, version_of
from export.errors import RepositoryError
from export.layout import CONFIG_FILE, GRAPH_FILE, version_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RETIRED: Final = "retired."
"""Begins the name of the folder that old models are moved to while new ones come in."""
_INCOMING: Final = "incoming"
"""The file in that folder that names the new models."""
_LOCK_FILE: Final = ".lock"
_LOCKED_AFTER_S: Final = 5.0
"""A younger staging folder may be another build's that has not locked it yet."""


def check_name(name: str) -> None:
    """Raise :class:`RepositoryError` unless ``name`` can name a model and its folder."""
    if not _NAME.fullmatch(name):
        raise RepositoryError(
            f"{name!r} cannot name a model: use letters, digits, '_', '-' and '.',"
            " beginning with a letter or digit"
        )


def graph_path(repository: Path, model: str) -> Path:
    """Where the graph of ``model`` lies; raises :class:`RepositoryError` without a version."""
    return version_folder(repository / model) / GRAPH_FILE


def write_config(repository: Path, config: ModelConfig) -> None:
    """Write ``config.pbtxt`` of ``config.name``, and make its version folder."""
    folder = repository / config.name
    (folder / str(version_of(config))).mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(config_text(config), encoding="utf-8")


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """A folder on the repository's file system but outside it, gone afterwards.

    What killed builds left there is cleared away. Raises :class:`RepositoryError` when the folder
    cannot be made.
    """
    target = repository.resolve()  # "." has a parent only when resolved
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(repository)
        folder = tempfile.TemporaryDirectory(prefix=_prefix(target), dir=target.parent)
        lock = _Lock(Path(folder.name, _LOCK_FILE))
    except OSError as error:
        raise RepositoryError(
            f"cannot make a staging folder beside the repository {repository}: {error}"
        ) from error
    with lock, folder as staged:
        yield Path(staged)


def recover(repository: Path) -> None:
    """Undo what killed builds have begun: publishing that was cut short, and staging folders."""
    target = repository.resolve()
    for folder in target.parent.glob(f"{_prefix(target)}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _LOCKED_AFTER_S:
                with _Lock(folder / _LOCK_FILE):
                    _put_back(folder, target)
                    shutil.rmtree(folder)


def _prefix(target: Path) -> str:
    """How the names of staging folders beside the repository at ``target`` begin."""
    return f".{target.name}.staging-"


def _put_back(folder: Path, repository: Path) -> None:
    """Undo publishing from the staging ``folder`` that was cut short: the ensemble comes last."""
    for incoming in folder.glob(f"{_RETIRED}*/{_INCOMING}"):  # written before anything is moved
        retired = incoming.parent
        ensemble = retired.name.removeprefix(_RETIRED)
        if not (repository / ensemble).exists():
            for name in incoming.read_text(encoding="utf-8").split():
                if not (folder / name).exists():  # it had been moved in
                    shutil.rmtree(repository / name, ignore_errors=True)
            models = (path for path in retired.iterdir() if path.is_dir())
            for model in sorted(models, key=lambda path: path.name == ensemble):
                model.rename(repository / model.name)


class _Lock:
    """A lock on a file, which the kernel releases however this process ends.

    Raises ``BlockingIOError`` when another process holds it.
    """

    def __init__(self, file: Path) -> None:
        # A file that is open for writing: NFS locks nothing else.
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def check_replaceable(repository: Path, names: Sequence[str], ensemble: str) -> None:
    """Raise :class:`RepositoryError` when publishing ``names`` would remove others' models.

    Ours is an ensemble that carries a contract, and what it is made of. What killed builds took
    away is put back first.
    """
    recover(repository)
    mounted = [name for name in names if (repository / name).is_mount()]
    if mounted:
        raise RepositoryError(
            f"{repository / mounted[0]} is a mount point, and models are renamed into place: mount"
            " a volume at the repository's parent"
        )
    there = [name for name in names if (repository / name).exists()]
    others = [name for name in there if name != ensemble and _has_contract(repository, name)]
    if others or (there and not _has_contract(repository, ensemble)):
        raise RepositoryError(
            f"{repository} holds {', '.join(others or there)}, which no export of {ensemble} wrote:"
            " choose another name, or remove them"
        )


def _has_contract(repository: Path, name: str) -> bool:
    config = repository / name / CONFIG_FILE
    return config.is_file() and f'key: "{CONTRACT_PARAMETER}"' in config.read_text()


def publish(staged: Path, repository: Path, ensemble: str) -> None:
    """Move all staged models into ``repository``: old ensembles out first, the new one in last.

    In between the repository may lack the ensemble, but never has one over a mix of old and
    new models. On any failure the old models are put back. Raises :class:`RepositoryError`.
    """
    new = _ensembles_last(staged, ensemble)
    retired = staged / f"{_RETIRED}{ensemble}"
    retired.mkdir()
    (retired / _INCOMING).write_text("\n".join(new), encoding="utf-8")
    try:
        repository.mkdir(exist_ok=True)
        with _alone(repository):
            _exchange(staged, retired, repository, new)
    except OSError as error:
        raise RepositoryError(
            f"cannot write to the repository {repository}: {error}; the models there"
            " are unchanged. Models are renamed into it from beside it: its parent must"
            " be writable and of the same file system, so mount a volume at the parent"
        ) from error


@contextmanager
def _alone(repository: Path) -> Iterator[None]:
    """Wait until no other build publishes into ``repository``; on NFS, which locks no folder, not.

    The kernel releases the lock however this process ends.
    """
    descriptor = os.open(repository, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _exchange(staged: Path, retired: Path, repository: Path, new: Sequence[str]) -> None:
    """Move old models to ``retired`` and the ``new`` ones in, or leave all where they were."""
    ensemble = new[-1]
    old = [ensemble, *_parts(repository, ensemble)]
    try:
        for name in dict.fromkeys((*old, *reversed(new))):
            if (repository / name).exists():
                (repository / name).rename(retired / name)
        for name in new:
            (staged / name).rename(repository / name)
    except BaseException:
        _restore(staged, retired, repository, new)
        raise


def read_config(repository: Path, model: str) -> ModelConfig:
    """The configuration of ``model``; raises :class:`RepositoryError`."""
    path = repository / model / CONFIG_FILE
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepositoryError(f"no model {model!r} in {repository}: build it first") from error
    except text_format.ParseError as error:
        raise RepositoryError(f"{path} is not a model configuration: {error}") from error


def read_contract(repository: Path, name: str) -> Contract:
    """The contract in the configuration of the ensemble ``name``.

    Raises :class:`RepositoryError` when there is none, or it is not of this version.
    """
    config = read_config(repository, name)
    try:
        return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except ContractError as error:
        raise RepositoryError(f"{repository / name / CONFIG_FILE}: {error}") from error


def _ensembles_last(staged: Path, ensemble: str) -> list[str]:
    """The staged models, each after those that it is made of."""
    names = sorted(path.name for path in staged.iterdir() if (path / CONFIG_FILE).is_file())
    names.remove(ensemble)
    names.sort(key=lambda name: bool(read_config(staged, name).ensemble_scheduling.step))
    return [*names, ensemble]


def _parts(repository: Path, ensemble: str) -> list[str]:
    """The models of a published ensemble: it and those of its length ranges, then all steps.

    Steps of other names were put there by hand, and may be others' too: they stay.
    """
    try:
        ensembles = read_contract(repository, ensemble).models(ensemble)
        configs = [read_config(repository, name) for name in ensembles]
    except RepositoryError:
        return []  # there is none, or one that cannot be read, which is replaced by name
    steps = (step.model_name for config in configs for step in config.ensemble_scheduling.step)
    own = (name for name in steps if name.startswith(f"{ensemble}_"))
    return [*ensembles, *dict.fromkeys(own)]


def _restore(staged: Path, retired: Path, repository: Path, new: Sequence[str]) -> None:
    for name in reversed(new):
        if not (staged / name).exists():
            (repository / name).rename(staged / name)
    for path in retired.iterdir():
        if path.is_dir():
            path.rename(repository / path.name)
