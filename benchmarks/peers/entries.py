"""Who takes part with a prepared model: workers to start, and what each is asked to do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import ModelError
from benchmarks.peers.layout import (
    GRAPH_FILE,
    ONNX_ASR,
    PROJECT,
    SHERPA_ONNX,
    Prepared,
    form,
    read_prepared,
)
from benchmarks.peers.processes import Start
from benchmarks.pipeline import read_contract

NEMO: Final = "NeMo"
LOOPS: Final = "ONNX Runtime, our graphs"
NEMO_GRAPH: Final = "ONNX Runtime, NeMo's export"
OURS: Final = "ours"
KINDS: Final = ("nemo", "onnx-asr", "sherpa-onnx", "loops", "nemo-export", "ours")
"""What a user can choose to compare."""

PADDED_BATCHES: Final = (8, 16)
"""Of which the accuracy with and without masks is compared."""
_ENGINES: Final = "benchmarks.peers.engines"
_EXPORT, _RUNTIME, _PEERS = (
    PROJECT / folder / "bin" / "python" for folder in (".venv-export", ".venv", ".venv-peers")
)


@dataclass(frozen=True)
class Task:
    """What a worker is asked to do, as one line of the tables.

    ``alone`` marks the task whose texts are what batches are compared with; ``timed`` is false
    where only accuracy is asked for.
    """

    name: str
    options: Mapping[str, Any]
    alone: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Entry:
    """A worker and its tasks."""

    kind: str
    name: str
    start: Start
    tasks: Sequence[Task]


@dataclass(frozen=True)
class Settings:
    """What is compared and how.

    ``batches`` are the sizes that everybody tries beside one by one, ``in_flight`` the numbers of
    requests at once that our client tries, ``precisions`` the names of further models of ours in
    the repository.
    """

    folder: Path
    repository: Path
    name: str
    batches: Sequence[int] = (4, 8)
    threads: int = 2
    in_flight: Sequence[int] = (4, 16)
    precisions: Sequence[str] = ()
    kinds: Sequence[str] = KINDS


def prepared_model(settings: Settings) -> Prepared:
    """What preparation left; raises ``ModelError`` when it did not run."""
    prepared = read_prepared(settings.folder / settings.name)
    if prepared is None:
        raise ModelError(
            f"{settings.name!r} is not prepared in {settings.folder}: run "
            f"'.venv-export/bin/python -m benchmarks.peers.prepare --checkpoint … "
            f"--name {settings.name} --folder {settings.folder}'"
        )
    checkpoint_sha256 = read_contract(settings.repository, settings.name).checkpoint_sha256
    if checkpoint_sha256 != prepared.checkpoint_sha256:
        raise ModelError(
            f"{settings.name!r} in {settings.repository} is of another checkpoint than the one"
            " prepared: prepare it again"
        )
    return prepared


def entries(settings: Settings, prepared: Prepared) -> list[Entry]:
    """Everybody, NeMo first: ratios are to the first task."""
    everybody = (
        _nemo(settings, prepared),
        *_of_folders(settings, prepared, ONNX_ASR, "onnx_asr"),
        *_of_folders(settings, prepared, SHERPA_ONNX, "sherpa_onnx"),
        _nemo_graph(settings, prepared),
        _loops(settings),
        *_ours(settings),
    )
    return [entry for entry in everybody if entry.kind in settings.kinds]


def _nemo(settings: Settings, prepared: Prepared) -> Entry:
    details = {"checkpoint": prepared.checkpoint}
    start = Start(_EXPORT, f"{_ENGINES}.nemo", details, settings.threads)
    return Entry("nemo", NEMO, start, _in_batches(NEMO, settings.batches))


def _of_folders(settings: Settings, prepared: Prepared, peer: str, engine: str) -> Iterable[Entry]:
    """With NeMo's graph if the peer can run it; and with ours, in batches where there is no other.

    The second tells the graph's part in the speed from the peer's.
    """
    batches: Sequence[int] = settings.batches
    for graph in ("nemo", "ours"):
        if form(peer, graph) in prepared.refused:
            continue
        folder = (settings.folder / prepared.name / form(peer, graph)).resolve()
        details = {"folder": str(folder), "features": prepared.features}
        start = Start(_PEERS, f"{_ENGINES}.{engine}", details, settings.threads)
        name = peer if graph == "nemo" else f"{peer}, our graph"
        yield Entry(peer, name, start, _in_batches(name, batches))
        batches = ()


def _nemo_graph(settings: Settings, prepared: Prepared) -> Entry:
    graph = str((settings.folder / prepared.name / "nemo" / GRAPH_FILE).resolve())
    details = {"graph": graph, "subsampling": prepared.subsampling}
    start = _start(settings, "graphs", settings.name, **details)
    untimed = _in_batches(NEMO_GRAPH, PADDED_BATCHES, timed=False)
    return Entry("nemo-export", NEMO_GRAPH, start, untimed)


def _loops(settings: Settings) -> Entry:
    tasks = {task.name: task for task in _in_batches(LOOPS, PADDED_BATCHES, timed=False)}
    tasks |= {task.name: task for task in _in_batches(LOOPS, settings.batches)}
    by_length = [
        Task(f"{LOOPS}, {size} by length", {"batch": size, "sorted": True})
        for size in settings.batches
    ]
    start = _start(settings, "graphs", settings.name)
    return Entry("loops", LOOPS, start, [*tasks.values(), *by_length])


def _ours(settings: Settings) -> Iterable[Entry]:
    for model in (settings.name, *settings.precisions):
        name = f"{OURS}, {read_contract(settings.repository, model).precision}"
        if model != settings.name:
            name += f" ({model})"
        tasks = [
            Task(f"{name}, {most} in flight", {"in_flight": most}) for most in settings.in_flight
        ]
        start = _start(settings, "triton", model, in_flight=settings.in_flight)
        yield Entry("ours", name, start, tasks)


def _in_batches(name: str, sizes: Iterable[int], *, timed: bool = True) -> list[Task]:
    """One by one, which is always timed, and first come in batches."""
    alone = Task(one_by_one(name), {"batch": 1}, alone=True)
    batched = (Task(f"{name}, {size} first come", {"batch": size}, timed=timed) for size in sizes)
    return [alone, *batched]


def one_by_one(name: str) -> str:
    """The task of a worker that gets one file at a time."""
    return f"{name}, one by one"


def _start(settings: Settings, engine: str, model: str, **details: Any) -> Start:
    """For an engine that runs a model of our repository."""
    details |= {"repository": str(settings.repository.resolve()), "name": model}
    return Start(_RUNTIME, f"{_ENGINES}.{engine}", details, settings.threads)
