"""The acoustic model's outputs for a manifest, computed once and kept on disk.

Flow: entry → name of its file, made of model and audio → there and sound: done; otherwise
:mod:`client.audio` → Triton → ``log_probs`` → file. They are kept as they came, in float32: what
is tuned must not depend on whether they were kept.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.audio import Clip, load_audio
from client.contract import LOG_PROBS, Contract
from client.decoding.candidates import check_log_probs
from client.errors import AsrError, AudioError, ManifestError, ServerError
from client.files import written_whole
from client.in_order import in_order
from client.manifest import Entry, with_text
from client.transport import Transport


@dataclass(frozen=True)
class Utterance:
    """A recording: its reference, and the file of its ``log_probs``."""

    name: str
    reference: str
    path: Path

    def log_probs(self) -> NDArray[Any]:
        """``float32 [S, V]``, mapped into memory."""
        return _mapped(self.path)


@dataclass(frozen=True)
class Failure:
    """A recording that cannot be tuned on, and why."""

    name: str
    error: AsrError


class AcousticCache:
    """One model's files in ``folder``: what they are named, which are sound, and how to write them.

    A model is its checkpoint, precision and exporter; audio is a file's path, size and time of
    change, and the piece of it.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        model = (contract.checkpoint_sha256, contract.precision, contract.exporter_version)
        self._folder = folder / _digest(*model)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._n_tokens = contract.blank + 1

    def path(self, clip: Clip) -> Path:
        """The clip's file, there or not; raises :class:`AudioError` when there is no audio."""
        source = Path(str(clip.source)).resolve()
        try:
            status = source.stat()
        except OSError as error:
            raise AudioError(f"{source}: {error.strerror}: check the path") from error
        audio = (str(source), status.st_size, status.st_mtime_ns, clip.offset_s, clip.duration_s)
        return self._folder / f"{_digest(*audio)}.npy"

    def holds(self, path: Path) -> bool:
        """Whether the file is there and holds this model's outputs."""
        try:
            check_log_probs(_mapped(path), self._n_tokens)
        except Exception:  # noqa: BLE001 -- however it is damaged, it is computed again
            return False
        return True

    def store(self, path: Path, log_probs: NDArray[Any]) -> None:
        """Write the file; raises :class:`DecoderError` when these are no ``log_probs``."""
        check_log_probs(log_probs, self._n_tokens)
        with written_whole(path) as part, part.open("wb") as stream:
            np.save(stream, log_probs)


def default_folder() -> Path:
    """Where caches belong on this system (XDG Base Directory Specification)."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "nemo-ctc-triton"


def compute(
    entries: Iterable[Entry], transport: Transport, cache: AcousticCache, max_in_flight: int
) -> Iterator[Utterance | Failure]:
    """What becomes of each entry, in order, with at most ``max_in_flight`` requests under way.

    A recording that cannot be used is a :class:`Failure`. Raises :class:`ServerError` when the
    server fails: that is no recording's fault, and what is stored by then stays.
    """
    started = (_start(entry, transport, cache) for entry in with_text(entries))
    for pending in in_order(started, lambda each: each.outputs.done(), max_in_flight):
        yield _finish(pending, cache)


@dataclass(frozen=True)
class _Pending:
    """An entry under way: ``outputs`` holds what to store in ``path``, ``None`` if it is there."""

    entry: Entry
    path: Path = Path()
    outputs: Future[Any] = field(default_factory=Future)


def _start(entry: Entry, transport: Transport, cache: AcousticCache) -> _Pending:
    try:
        if isinstance(entry.item, ManifestError):
            raise entry.item
        path = cache.path(entry.item)  # before the audio is read, which may change meanwhile
        if not cache.holds(path):
            samples = load_audio(entry.item, transport.contract.sample_rate_hz)
            return _Pending(entry, path, transport.submit(samples, LOG_PROBS))
        pending = _Pending(entry, path)
        pending.outputs.set_result(None)
    except AsrError as error:
        pending = _Pending(entry)
        pending.outputs.set_exception(error)
    return pending


def _finish(pending: _Pending, cache: AcousticCache) -> Utterance | Failure:
    name = pending.entry.name
    try:
        log_probs = pending.outputs.result()
        if log_probs is not None:
            cache.store(pending.path, log_probs)
    except ServerError:
        raise
    except AsrError as error:
        return Failure(name, error)
    return Utterance(name, pending.entry.fields["text"], pending.path)


def _mapped(path: Path) -> NDArray[Any]:
    mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    return mapped


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
