"""The comparison: workers started, the same files for all, in turns, and what came of it.

Flow: entries → workers that load → tasks that work on a first file → accuracy on a manifest, once →
clips in turns → ``Contest``. Whoever drops out on the way is left out with the reason.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final, TypeAlias

from benchmarks.errors import PeerError
from benchmarks.measurement import Speed, summarise, time_in_turns
from benchmarks.peers.audio import Audio
from benchmarks.peers.entries import NEMO, Entry, Task, one_by_one
from benchmarks.peers.processes import Worker
from client.evaluation.metrics import character_errors, word_errors
from server.processes import machine_s

_REFERENCE: Final = one_by_one(NEMO)
"""The task whose texts the others are set against, if it takes part."""
_IDLE_POLL_S: Final = 0.2
"""Long enough for a busy loop to show in Linux's count of hundredths of seconds."""
_IDLE_TIMEOUT_S: Final = 20.0

Able: TypeAlias = tuple[Worker, Task]
"""A task, and the worker that has shown that it can do it."""


@dataclass(frozen=True)
class Turn:
    """CPU seconds during one timed run: of the peer, of the peers that wait, and of strangers."""

    own_s: float
    idle_s: float
    strangers_s: float


@dataclass(frozen=True)
class Pace:
    """How fast a task is.

    ``cpu_per_minute_s`` is seconds of CPU for each minute of audio, which a busy machine disturbs
    less than the wall time. ``cores`` is CPU time over wall time; ``strangers`` the same for what
    is no part of the benchmark, ``idle`` for the peers that wait. ``from_nemo`` is the character
    error rate to NeMo's texts, one by one; ``None`` without NeMo.
    """

    task: str
    speed: Speed
    cpu_per_minute_s: float
    cores: float
    strangers: float
    idle: float
    from_nemo: float | None


@dataclass(frozen=True)
class Accuracy:
    """Word errors on the manifest.

    ``changed`` is the share of texts that differ from those of the same worker one by one,
    ``as_nemo`` the share that are NeMo's.
    """

    task: str
    errors: int
    words: int
    wer: float
    changed: float | None
    as_nemo: float | None


@dataclass(frozen=True)
class Contest:
    """What was found; ``versions`` are each worker's, ``left_out`` says who and why."""

    paces: list[Pace]
    accuracies: list[Accuracy]
    versions: dict[str, dict[str, str]]
    left_out: dict[str, str]


@dataclass
class _Job:
    """One task on some files; remembers the last texts, and each run's CPU time."""

    worker: Worker
    task: Task
    everybody: Sequence[Worker]
    files: Sequence[str]
    texts: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def __call__(self) -> None:
        """Transcribe all files."""
        before = self._clocks()
        self.texts = self.worker.transcribe(self.files, self.task.options)
        own, everybody, machine = (
            now - then for now, then in zip(self._clocks(), before, strict=True)
        )
        self.turns.append(Turn(own, everybody - own, machine - everybody))

    def _clocks(self) -> tuple[float, float, float]:
        everybody = sum(worker.cpu_s() for worker in self.everybody)
        return self.worker.cpu_s(), everybody, machine_s()


def compare(entries: Sequence[Entry], clips: Audio, manifest: Audio | None, rounds: int) -> Contest:
    """Start everybody, measure accuracy on ``manifest`` if there is one, then speed on ``clips``.

    Raises ``PeerError`` when a peer fails that has worked before.
    """
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for entry in entries:
            with _reasons(left_out, entry.name):
                _say(f"loading {entry.name}")
                workers[entry.name] = stack.enter_context(Worker(entry.name, entry.start))
        tasks = [
            (workers[entry.name], task)
            for entry in entries
            if entry.name in workers
            for task in entry.tasks
        ]
        able: list[Able] = []
        for worker, task in tasks:
            with _reasons(left_out, task.name):
                worker.transcribe(clips.files[:1], task.options)
                able.append((worker, task))
        accuracies = [] if manifest is None else _accuracies(able, manifest)
        paces = _paces(able, clips, rounds)
        versions = {name: worker.versions for name, worker in workers.items()}
    return Contest(paces, accuracies, versions, left_out)


def _paces(able: Sequence[Able], clips: Audio, rounds: int) -> list[Pace]:
    everybody = list(dict.fromkeys(worker for worker, _ in able))
    jobs = {
        task.name: _Job(worker, task, everybody, clips.files) for worker, task in able if task.timed
    }
    _say(f"{len(jobs)} tasks, a warm-up and {rounds} rounds of {clips.audio_s:.0f} s of audio")
    runs = time_in_turns(jobs, rounds, warmups=1, settle=lambda: until_idle(everybody))
    speeds = summarise(runs, clips.audio_s)
    nemo = {job.task.name: job.texts for job in jobs.values()}.get(_REFERENCE)
    return [_pace(jobs[speed.name], speed, clips.audio_s, nemo) for speed in speeds]


def until_idle(workers: Sequence[Worker]) -> None:
    """Wait until none of them uses a CPU: threads wait for more work in busy loops for a while.

    Raises ``PeerError`` when one goes on and on.
    """
    end_s = monotonic() + _IDLE_TIMEOUT_S
    before = [worker.cpu_s() for worker in workers]
    while monotonic() < end_s:
        sleep(_IDLE_POLL_S)
        now = [worker.cpu_s() for worker in workers]
        if now == before:
            return
        before = now
    raise PeerError(f"a peer that has nothing to do was still busy after {_IDLE_TIMEOUT_S:g} s")


def _pace(job: _Job, speed: Speed, audio_s: float, nemo: Sequence[str] | None) -> Pace:
    turns = job.turns[-speed.runs :]  # without the warm-up
    wall_s = speed.wall_median_s
    own_s = statistics.median(turn.own_s for turn in turns)
    return Pace(
        task=speed.name,
        speed=speed,
        cpu_per_minute_s=60 * own_s / audio_s,
        cores=own_s / wall_s,
        strangers=max(0.0, statistics.median(turn.strangers_s for turn in turns) / wall_s),
        idle=statistics.fmean(turn.idle_s for turn in turns) / wall_s,
        from_nemo=None if nemo is None else character_errors(nemo, job.texts).rate,
    )


def _accuracies(able: Sequence[Able], manifest: Audio) -> list[Accuracy]:
    _say(f"word errors on {len(manifest.files)} utterances")
    texts = {task.name: worker.transcribe(manifest.files, task.options) for worker, task in able}
    alone = {worker: texts[task.name] for worker, task in able if task.alone}
    nemo = texts.get(_REFERENCE)
    found = []
    for worker, task in able:
        own = texts[task.name]
        counts = word_errors(manifest.references, own)
        by_itself = alone.get(worker)
        found.append(
            Accuracy(
                task=task.name,
                errors=counts.errors,
                words=counts.reference,
                wer=counts.rate,
                changed=None if by_itself is None else 1 - _share_equal(own, by_itself),
                as_nemo=None if nemo is None else _share_equal(own, nemo),
            )
        )
    return found


def _share_equal(texts: Sequence[str], others: Sequence[str]) -> float:
    """Of texts that are the same but for white space."""
    pairs = zip(texts, others, strict=True)
    return statistics.fmean(text.split() == other.split() for text, other in pairs)


@contextmanager
def _reasons(left_out: dict[str, str], name: str) -> Iterator[None]:
    """Note why ``name`` is left out, and go on."""
    try:
        yield
    except PeerError as error:
        left_out[name] = str(error)


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
