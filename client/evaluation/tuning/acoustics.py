"""The acoustic model's outputs for a manifest, computed once and kept on disk.

Flow: entry → its file in the ``AcousticCache`` → there and sound: done;
otherwise ``audio`` → Triton → ``log_probs`` → file.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...audio import load_audio
from ...audio.options import STRICT
from ...errors import AsrError, ManifestError, ServerError
from ...manifests.manifest import Entry, with_text
from ...utils.in_order import in_order
from ...wire.contract import LOG_PROBS
from ...wire.transport import Transport
from ..acoustic_cache import AcousticCache, read_log_probs


@dataclass(frozen=True)
class Utterance:
    """A recording: its reference, and the file of its ``log_probs``."""

    name: str
    reference: str
    path: Path

    def log_probs(self) -> NDArray[Any]:
        """``float32 [S, V]``, mapped into memory."""
        return read_log_probs(self.path)


@dataclass(frozen=True)
class Failure:
    """A recording that cannot be tuned on, and why."""

    name: str
    error: AsrError


def compute(
    entries: Iterable[Entry], transport: Transport, cache: AcousticCache, max_in_flight: int
) -> Iterator[Utterance | Failure]:
    """What becomes of each entry, in order, with at most ``max_in_flight`` requests under way.

    A recording that cannot be used is a ``Failure``. Raises ``ServerError`` when the
    server fails: that is no recording's fault, and what is stored by then stays.
    """
    started = (_start(entry, transport, cache) for entry in with_text(entries))
    for pending in in_order(started, lambda each: each.outputs, max_in_flight):
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
            samples = load_audio(entry.item, transport.contract.sample_rate_hz, STRICT)
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
