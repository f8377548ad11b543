"""A model's ``log_probs`` on disk, found again by the model and the audio that they are of.

They are kept as they came, in float32: what is made of them must not depend on whether they were
kept.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import Clip
from ..decoding.candidates import check_log_probs
from ..errors import AudioError, OutputError
from ..utils.files import check_folder, written_whole
from ..utils.shortened import shortened
from ..wire.contract import Contract


class AcousticCache:
    """One model's files in ``folder``: what they are named, which are sound, and how to write them.

    A model is its checkpoint, precision and exporter; audio is a file's path, size and time of
    change, and the piece of it.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        model = (contract.checkpoint_sha256, contract.precision, contract.exporter_version)
        self._folder = folder / _digest(*model)
        _make_folder(self._folder)
        self._n_tokens = contract.blank + 1

    def path(self, clip: Clip) -> Path:
        """The clip's file, there or not; raises ``AudioError`` when there is no audio."""
        name = str(clip.source)
        try:
            source = Path(name).resolve()
            status = source.stat()
        except (OSError, RuntimeError, ValueError) as error:  # also for what cannot be a path
            reason = getattr(error, "strerror", None) or f"cannot be a path ({error})"
            raise AudioError(f"{shortened(name)}: {reason}: check the path") from error
        audio = (str(source), status.st_size, status.st_mtime_ns, clip.offset_s, clip.duration_s)
        return self._folder / f"{_digest(*audio)}.npy"

    def holds(self, path: Path) -> bool:
        """Whether the file is there and holds this model's outputs."""
        try:
            check_log_probs(read_log_probs(path), self._n_tokens)
        except Exception:  # noqa: BLE001 -- however it is damaged, it is computed again
            return False
        return True

    def store(self, path: Path, log_probs: NDArray[Any]) -> None:
        """Write the file; raises ``DecoderError`` when these are no ``log_probs``."""
        check_log_probs(log_probs, self._n_tokens)
        with written_whole(path) as part, part.open("wb") as stream:
            np.save(stream, log_probs)


def default_folder() -> Path:
    """Where caches belong on this system (XDG Base Directory Specification)."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in containers
        caches = Path(tempfile.gettempdir())
    return caches / "nemo-ctc-triton"


@contextmanager
def cache_folder(cache: Path | None) -> Iterator[Path]:
    """``cache``, or a temporary folder for ``None``: on disk, as /tmp is memory on some systems.

    Raises ``OutputError`` when it cannot be made.
    """
    folder = default_folder() if cache is None else cache
    _make_folder(folder)
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="evaluate-", dir=folder) as temporary:
        yield Path(temporary)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder for caches cannot be made: {error.strerror}: choose another one"
        raise OutputError.of(folder, reason, options=("AcousticOptions.cache",)) from error
    check_folder(folder)


def read_log_probs(path: Path) -> NDArray[Any]:
    """What ``AcousticCache.store`` wrote, ``float32 [S, V]``, mapped into memory."""
    mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    return mapped


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
