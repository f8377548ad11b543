"""Restores a model from its ``.nemo`` file with NeMo; errors name the step that failed.

NeMo's own error is always "Can't instantiate abstract class".
"""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from nemo.core.connectors.save_restore_connector import SaveRestoreConnector
from omegaconf import DictConfig

from export.errors import CheckpointError

_FORBIDDEN = "Unsupported global"
"""In torch's message when weights hold something else than tensors."""


def restore(model_class: Any, path: Path, config: DictConfig) -> Any:
    """The model of class ``model_class`` that ``config`` describes, with the weights in ``path``.

    Raises ``CheckpointError``.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no temporary folder can be written to ({error.strerror}): make room, or set TMPDIR"
        ) from error
    try:
        with _filters_in_old_python():
            return model_class.restore_from(
                str(path),
                override_config_path=config,
                map_location=torch.device("cpu"),
                save_restore_connector=_Connector(),
            )
    except CheckpointError:
        raise
    # Constructors of the model's parts raise anything.
    except Exception as error:
        why = cause(error)
        if error.__cause__ is not None:  # the part of the model, and what went wrong in it
            why += f" {cause(error.__cause__)}"
        raise CheckpointError(
            f"NeMo cannot build the model that the model_config.yaml in {path} describes"
            f" ({why}): correct what it names, or save the model again with this NeMo",
            path=path,
        ) from error


@contextmanager
def _filters_in_old_python() -> Iterator[None]:
    """Let ``TarFile.extract`` take the ``filter`` that NeMo passes, where Python is under 3.11.4.

    Debian 12 has 3.11.2. NeMo checks names and links itself before it extracts a file.
    """
    if hasattr(tarfile, "data_filter"):
        yield
        return
    extract = tarfile.TarFile.extract

    def without_filter(archive: tarfile.TarFile, member: Any, path: str, **_filter: Any) -> None:
        extract(archive, member, path)

    tarfile.TarFile.extract = without_filter  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        tarfile.TarFile.extract = extract  # type: ignore[method-assign]


def cause(error: BaseException) -> str:
    """The first line of the message: torch's and NeMo's go on with advice about their functions."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


class _Connector(SaveRestoreConnector):  # type: ignore[misc]
    """NeMo's steps of restoring, each with its own error."""

    def _unpack_nemo_file(self, path2file: str, out_folder: str, members: Any = None) -> str:
        try:
            return str(super()._unpack_nemo_file(path2file, out_folder, members))
        except OSError as error:
            folder = tempfile.gettempdir()
            free = shutil.disk_usage(folder).free
            raise CheckpointError(
                f"cannot unpack {path2file} into the temporary folder {folder}, which has"
                f" {free / 1e6:,.0f} MB free ({error.strerror}): make room there, or set TMPDIR to"
                " another folder",
                path=Path(folder),
            ) from error

    def _load_state_dict_from_disk(self, model_weights: str, map_location: Any = "cpu") -> Any:
        try:
            return super()._load_state_dict_from_disk(model_weights, map_location)
        except Exception as error:  # the unpickler raises anything
            if _FORBIDDEN in str(error):
                raise CheckpointError(
                    "the weights in the checkpoint hold Python objects, which torch loads only"
                    " from files that you trust: set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 if you do,"
                    " or save the model again with this NeMo"
                ) from error
            raise CheckpointError(
                f"the weights in the checkpoint are damaged ({cause(error)}): fetch or copy the"
                " file again"
            ) from error

    def load_instance_with_state_dict(self, instance: Any, state_dict: Any, strict: bool) -> None:  # noqa: FBT001  # NeMo's
        """Load the weights into the model, and require that they match it."""
        try:
            super().load_instance_with_state_dict(instance, state_dict, strict)
        except RuntimeError as error:
            mismatch = " ".join(str(error).split("\n")[1:3]).strip()
            raise CheckpointError(
                "the weights in the checkpoint are not those of the model that its"
                f" model_config.yaml describes ({' '.join(mismatch.split())[:300]}): save the"
                " model again with NeMo's save_to"
            ) from error
