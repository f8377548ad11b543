"""The acoustic pass: every recording through one model, once; its ``log_probs`` are kept on disk.

Flow: entry → its file in the ``AcousticCache`` → there: its audio is measured, unless the cache
has its length; otherwise
``transcribe``, whose "decoding" here writes the file. So recordings of any length and kind are read
as ``transcribe`` reads them, and none is held longer.

Outputs are kept as they came, in float32: what is made of them must not depend on whether they were
kept.
"""

import hashlib
import json
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..audio import AudioOptions, Clip
from ..decoding.log_probs import check_log_probs
from ..errors import AsrError, AudioError, ManifestError, OutputError
from ..long_audio import LongAudioOptions, plan_windows
from ..manifests.manifest import Entry
from ..pipeline import Pipeline, Reader
from ..result import Result
from ..transcript import Transcript
from ..utils.files import check_folder, written_whole
from ..utils.shortened import shortened
from ..wire.contract import LOG_PROBS, Contract
from ..wire.top_tokens import Output
from ..wire.transport import Transport, TransportOptions, TritonTransport


@dataclass(frozen=True)
class AcousticOptions:
    """How recordings are read and sent, and where the models' outputs are kept."""

    transport: TransportOptions = field(default_factory=TransportOptions)
    audio: AudioOptions = field(default_factory=AudioOptions)
    long_audio: LongAudioOptions = field(default_factory=LongAudioOptions)
    cache: Path | None = None
    """A folder; outputs found there are used again. ``None`` for a temporary one."""


@dataclass(frozen=True)
class AcousticOutput:
    """The file of an entry's ``log_probs``, and the length of its audio.

    ``whole`` is false where they are stitched of several windows.
    """

    path: Path
    duration_s: float
    whole: bool = True

    def log_probs(self) -> NDArray[Any]:
        """``float32 [S, V]``, mapped into memory."""
        return read_log_probs(self.path)


class AcousticModel:
    """A model on the server, and the ``outputs`` of its last run, by the entries' lines.

    ``folder`` is the cache's. ``seconds`` is the time of that run, reading and the way to the
    server included; 0 where the cache held some outputs. Raises the errors of ``plan_windows``.
    """

    def __init__(self, transport: Transport, folder: Path, options: AcousticOptions) -> None:
        contract = transport.contract
        self.outputs: dict[int, AcousticOutput] = {}
        self.seconds = 0.0
        self._transport = transport
        self._max_in_flight = options.transport.max_in_flight
        plan = plan_windows(contract, options.long_audio)
        self._reader: Final = Reader(contract.sample_rate_hz, plan, options.audio)
        self._cache: Final = AcousticCache(_folder(folder, options), contract)

    @property
    def contract(self) -> Contract:
        """The contract of the served model."""
        return self._transport.contract

    def run(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Result]]:
        """Each entry with its result, whose text is empty; those in the cache come first."""
        start_s = perf_counter()
        self.outputs = {}
        tasks = list(map(self._task, entries))
        kept = [task for task in tasks if self._cache.holds(task.path)]
        for task in kept:
            yield task.entry, self._noted(task, self._kept(task))
        lines = {task.entry.line for task in kept}
        missing = [task for task in tasks if task.entry.line not in lines]
        stage = _Storing(self._cache, [task.path for task in missing])
        items = (task.item for task in missing)
        pipeline = Pipeline(self._transport, stage, self._max_in_flight, self._reader)
        for task, result in zip(missing, pipeline.transcribe(items), strict=True):
            yield task.entry, self._noted(task, self._sound(task, result))
        self.seconds = 0.0 if kept else perf_counter() - start_s

    def _task(self, entry: Entry) -> "_Task":
        """Where its outputs belong is decided before the audio is read, which may change then."""
        if isinstance(entry.item, ManifestError):
            return _Task(entry, entry.item)
        try:
            return _Task(entry, entry.item, self._cache.path(entry.item))
        except AsrError as error:
            return _Task(entry, error)

    def _kept(self, task: "_Task") -> Result:
        """What is in the cache, without reading the audio where that was sound and not too long."""
        duration_s = self._cache.duration_s(task.path)
        if duration_s is None or duration_s > self._reader.audio.max_duration_s:
            return self._sound(task, self._measured(task.entry))
        return Result(0, duration_s, Transcript(""))

    def _measured(self, entry: Entry) -> Result:
        """The length of audio that is not sent again."""
        warnings: list[str] = []
        try:
            (last,) = deque(self._reader.windows(entry.item, warnings.append), maxlen=1)
        except AsrError as error:
            return Result(0, error=error)
        end = last.start_frame * self._reader.plan.frame + len(last.samples)
        return Result(0, end / self._reader.rate_hz, Transcript(""), warnings=tuple(warnings))

    def _sound(self, task: "_Task", result: Result) -> Result:
        """The result, the length of sound audio kept for the next run."""
        if result.error is None and not result.warnings:
            self._cache.store_duration(task.path, result.duration_s)
        return result

    def _noted(self, task: "_Task", result: Result) -> Result:
        if result.error is None:
            whole = round(result.duration_s * self._reader.rate_hz) <= self._reader.plan.longest
            self.outputs[task.entry.line] = AcousticOutput(task.path, result.duration_s, whole)
        return result


@contextmanager
def acoustic_models(
    url: str | Sequence[str], names: Sequence[str], options: AcousticOptions
) -> Iterator[dict[str, AcousticModel]]:
    """The models of these names, each once, and connections to them meanwhile.

    Raises the errors of ``TritonTransport`` and ``plan_windows``, and ``OutputError`` for a cache
    that cannot be written.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(cache_folder(options.cache)) if names else Path()
        models: dict[str, AcousticModel] = {}
        for name in dict.fromkeys(names):
            transport = stack.enter_context(closing(TritonTransport(url, name, options.transport)))
            models[name] = AcousticModel(transport, folder, options)
        yield models


@dataclass(frozen=True)
class _Task:
    """An entry, what to send or why not, and the file for its outputs."""

    entry: Entry
    item: Clip | AsrError
    path: Path = Path()


class _Storing:
    """The stage that writes outputs to files, in the order of the ``paths``."""

    output: Output = LOG_PROBS
    ahead: int = 1

    def __init__(self, cache: "AcousticCache", paths: Sequence[Path]) -> None:
        self._cache = cache
        self._paths = iter(paths)

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:  # noqa: ARG002
        """Nothing yet."""
        return outputs

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:  # noqa: ARG002
        """Write them; there is no text yet."""
        path = next(self._paths)
        self._cache.store(path, begun.result())
        return Transcript("")

    def close(self) -> None:
        """Nothing to release."""


def _folder(folder: Path, options: AcousticOptions) -> Path:
    """The folder itself, or one in it where options change what is read of a recording."""
    facts = (options.audio.channel, options.audio.raw, options.long_audio)
    if facts == (None, None, LongAudioOptions()):
        return folder
    return folder / hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


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

    def duration_s(self, path: Path) -> float | None:
        """The length of the file's audio, if that is known and nothing was wrong with the audio."""
        try:
            duration_s = json.loads(_facts(path).read_bytes())["duration_s"]
        except (OSError, ValueError, KeyError, TypeError):  # gone or damaged: measured again
            return None
        return duration_s if isinstance(duration_s, float) else None

    def store_duration(self, path: Path, duration_s: float) -> None:
        """Write the length of the file's audio, with which nothing was wrong."""
        with written_whole(_facts(path)) as part:
            part.write_text(json.dumps({"duration_s": duration_s}))


def _facts(path: Path) -> Path:
    """The file beside the outputs that tells of their audio."""
    return path.with_suffix(".json")


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
