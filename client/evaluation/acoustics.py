"""The acoustic pass: every recording through one model, once; its ``log_probs`` are kept on disk.

Flow: entry → its file in the ``AcousticCache`` → there: its audio is measured, unless the cache
has its length; otherwise ``transcribe`` without decoding, and the outputs are written. So
recordings of any length and kind are read and cut as ``transcribe`` does it, and none is held
longer.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from numpy.typing import NDArray

from ..audio import AudioOptions, Clip
from ..errors import AsrError, ManifestError
from ..manifests.manifest import Entry
from ..pipeline import Pipeline, Reader
from ..result import Result
from ..segmentation import SegmentationOptions, plan_segmentation
from ..transcript import Segment, Transcript
from ..wire.contract import LOG_PROBS, Contract
from ..wire.top_tokens import Output
from ..wire.transport import Transport, TransportOptions, TritonTransport
from .acoustic_cache import (
    AcousticCache,
    AcousticOutput,
    CachedSegment,
    Facts,
    Segments,
    cache_folder,
)


@dataclass(frozen=True)
class AcousticOptions:
    """How recordings are read and sent, and where the models' outputs are kept."""

    transport: TransportOptions = field(default_factory=TransportOptions)
    audio: AudioOptions = field(default_factory=AudioOptions)
    segmentation: SegmentationOptions = field(default_factory=SegmentationOptions)
    cache: Path | None = None
    """A folder; outputs found there are used again. ``None`` for a temporary one."""


class AcousticModel:
    """A model on the server, and the ``outputs`` of its last run, by the entries' lines.

    ``folder`` is the cache's. ``seconds`` is the time of that run, reading and the way to the
    server included; 0 where the cache held some outputs. Raises what ``plan_segmentation`` raises.
    """

    def __init__(self, transport: Transport, folder: Path, options: AcousticOptions) -> None:
        contract = transport.contract
        self.outputs: dict[int, AcousticOutput] = {}
        self.seconds = 0.0
        self._transport = transport
        self._max_in_flight = options.transport.max_in_flight
        plan = plan_segmentation(contract, options.segmentation)
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
        kept = {task.entry.line: facts for task in tasks if (facts := self._cache.read(task.path))}
        missing = [task for task in tasks if task.entry.line not in kept]
        for task in tasks:
            if (facts := kept.get(task.entry.line)) is not None:
                yield task.entry, self._kept(task, facts)
        items = (task.item for task in missing)
        pipeline = Pipeline(
            self._transport, _Undecoded(), self._max_in_flight, self._reader, keep_log_probs=True
        )
        for task, result in zip(missing, pipeline.transcribe(items), strict=True):
            yield task.entry, self._stored(task, result)
        self.seconds = 0.0 if kept else perf_counter() - start_s

    def _task(self, entry: Entry) -> "_Task":
        """Where its outputs belong is decided before the audio is read, which may change then."""
        if isinstance(entry.item, ManifestError):
            return _Task(entry, entry.item)
        try:
            return _Task(entry, entry.item, self._cache.path(entry.item))
        except AsrError as error:
            return _Task(entry, error)

    def _kept(self, task: "_Task", facts: Facts) -> Result:
        """What is in the cache, without reading the audio where that was sound and not too long."""
        duration_s = facts.duration_s
        if duration_s is None or duration_s > self._reader.audio.max_duration_s:
            return self._noted(task, self._measured(task.entry), facts.segments)
        return self._noted(task, Result(0, duration_s, Transcript("")), facts.segments)

    def _measured(self, entry: Entry) -> Result:
        """The length of audio that is not sent again."""
        warnings: list[str] = []
        try:
            n_samples = sum(map(len, self._reader.blocks(entry.item, warnings.append)))
        except AsrError as error:
            return Result(0, error=error)
        duration_s = n_samples / self._reader.rate_hz
        return Result(0, duration_s, Transcript(""), warnings=tuple(warnings))

    def _stored(self, task: "_Task", result: Result) -> Result:
        """The result without its outputs, which are in the cache; its length too, if it is sound.

        For audio with which something is wrong, the next run measures it anew, to tell of it again.
        """
        if result.transcript is None:
            return result
        segments = None
        outputs = [result.log_probs]
        if (cut := result.transcript.segments) is not None:
            outputs = [each.log_probs for each in cut]
            segments = tuple(map(_cached, cut))
        sound_s = None if result.warnings else result.duration_s
        try:
            self._cache.store(task.path, outputs, Facts(sound_s, segments))
        except AsrError as error:
            return replace(result, transcript=None, log_probs=None, error=error)
        return self._noted(
            task, replace(result, transcript=Transcript(""), log_probs=None), segments
        )

    def _noted(self, task: "_Task", result: Result, segments: Segments | None) -> Result:
        if result.error is None:
            whole = round(result.duration_s * self._reader.rate_hz) <= self._reader.plan.longest
            self.outputs[task.entry.line] = AcousticOutput(
                task.path, result.duration_s, segments, whole=whole and segments is None
            )
        return result


@contextmanager
def acoustic_models(
    url: str | Sequence[str], names: Sequence[str], options: AcousticOptions
) -> Iterator[dict[str, AcousticModel]]:
    """The models of these names, each once, and connections to them meanwhile.

    Raises the errors of ``TritonTransport`` and ``plan_segmentation``, and ``OutputError`` for a
    cache that cannot be written.
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


class _Undecoded:
    """The stage that decodes nothing: results have the outputs."""

    output: Output = LOG_PROBS
    ahead: int = 1

    def begin(self, outputs: Future[NDArray[Any]], duration_s: float) -> Future[Any]:  # noqa: ARG002
        """Nothing to do."""
        return outputs

    def finish(self, begun: Future[Any], duration_s: float) -> Transcript:  # noqa: ARG002
        """No text."""
        return Transcript("")

    def close(self) -> None:
        """Nothing to release."""


def _cached(segment: Segment) -> CachedSegment:
    n_frames = 0 if segment.log_probs is None else len(segment.log_probs)
    return CachedSegment(segment.start_s, segment.end_s, n_frames, segment.channel, segment.speaker)


def _folder(folder: Path, options: AcousticOptions) -> Path:
    """The folder itself, or one in it where options change what is read of a recording."""
    facts = (options.audio.channel, options.audio.raw, options.segmentation)
    if facts == (None, None, SegmentationOptions()):
        return folder
    return folder / hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
