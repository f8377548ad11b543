"""The acoustic pass: every recording through one model, once; its ``log_probs`` are kept on disk.

Flow: entry → its file in the ``AcousticCache`` → there: measured;
otherwise ``transcribe``, whose "decoding" here is to write the file. So
recordings of any length and kind are heard as ``transcribe`` hears them, and none is held longer.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from numpy.typing import NDArray

from ..audio import AudioOptions, Clip
from ..errors import AsrError, ManifestError
from ..long_audio import LongAudioOptions, plan_windows
from ..manifests.manifest import Entry
from ..transcriber import Reader, Result, transcribe
from ..transcript import Transcript
from ..wire.contract import LOG_PROBS, Contract
from ..wire.transport import Transport
from .acoustic_cache import AcousticCache, read_log_probs


@dataclass(frozen=True)
class Heard:
    """The file of an entry's ``log_probs``, and the length of its audio.

    ``whole`` is false where they are stitched of several windows.
    """

    path: Path
    duration_s: float
    whole: bool

    def log_probs(self) -> NDArray[Any]:
        """``float32 [S, V]``, mapped into memory."""
        return read_log_probs(self.path)


class AcousticModel:
    """A model on the server, and what it has heard: ``heard``, by the entries' lines.

    ``seconds`` is the time that ``hear`` took, reading and the way to the server included; 0
    where outputs were kept from before. Raises the errors of
    ``plan_windows``.
    """

    def __init__(
        self,
        transport: Transport,
        max_in_flight: int,
        folder: Path,
        audio: AudioOptions | None = None,
        long_audio: LongAudioOptions | None = None,
    ) -> None:
        audio, long_audio = audio or AudioOptions(), long_audio or LongAudioOptions()
        contract = transport.contract
        self.heard: dict[int, Heard] = {}
        self.seconds = 0.0
        self._transport = transport
        self._max_in_flight = max_in_flight
        plan = plan_windows(contract, long_audio)
        self._reader: Final = Reader(contract.sample_rate_hz, plan, audio)
        self._cache: Final = AcousticCache(_folder(folder, audio, long_audio), contract)

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._transport.contract

    def hear(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Result]]:
        """What became of each entry, those kept from before first; texts are empty."""
        start_s = perf_counter()
        tasks = list(map(self._task, entries))
        kept = [task for task in tasks if self._cache.holds(task.path)]
        for task in kept:
            yield task.entry, self._noted(task, self._measured(task.entry))
        lines = {task.entry.line for task in kept}
        missing = [task for task in tasks if task.entry.line not in lines]
        stage = _Keeping(self._cache, [task.path for task in missing])
        items = (task.item for task in missing)
        results = transcribe(items, self._transport, stage, self._max_in_flight, self._reader)
        for task, result in zip(missing, results, strict=True):
            yield task.entry, self._noted(task, result)
        self.seconds = 0.0 if kept else perf_counter() - start_s

    def _task(self, entry: Entry) -> "_Task":
        """Where its outputs belong is decided before the audio is read, which may change then."""
        if isinstance(entry.item, ManifestError):
            return _Task(entry, entry.item)
        try:
            return _Task(entry, entry.item, self._cache.path(entry.item))
        except AsrError as error:
            return _Task(entry, error)

    def _measured(self, entry: Entry) -> Result:
        """The length of audio that is not sent again."""
        said: list[str] = []
        try:
            (last,) = deque(self._reader.windows(entry.item, said.append), maxlen=1)
        except AsrError as error:
            return Result(0, error=error)
        end = last.start_frame * self._reader.plan.frame + len(last.samples)
        return Result(0, end / self._reader.rate_hz, Transcript(""), warnings=tuple(said))

    def _noted(self, task: "_Task", result: Result) -> Result:
        if result.error is None:
            whole = round(result.duration_s * self._reader.rate_hz) <= self._reader.plan.longest
            self.heard[task.entry.line] = Heard(task.path, result.duration_s, whole)
        return result


@dataclass(frozen=True)
class _Task:
    """An entry, what to send or why not, and the file for its outputs."""

    entry: Entry
    item: Clip | AsrError
    path: Path = Path()


class _Keeping:
    """Writes what others decode into files, in the order of the ``paths``."""

    output: str = LOG_PROBS
    ahead: int = 1

    def __init__(self, cache: AcousticCache, paths: Sequence[Path]) -> None:
        self._cache = cache
        self._paths = iter(paths)

    def begin(self, posteriors: Future[NDArray[Any]], duration_s: float) -> Future[Any]:  # noqa: ARG002
        """Nothing yet."""
        return posteriors

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:  # noqa: ARG002
        """Write them; there is no text yet."""
        path = next(self._paths)
        self._cache.store(path, begun.result())
        return Transcript("")

    def close(self) -> None:
        """Nothing to release."""


def _folder(folder: Path, audio: AudioOptions, long_audio: LongAudioOptions) -> Path:
    """The cache's folder, which knows nothing of these options; `tune` has none of them."""
    if (audio, long_audio) == (AudioOptions(), LongAudioOptions()):
        return folder
    return folder / hashlib.sha256(repr((audio, long_audio)).encode()).hexdigest()[:32]
