"""A server under load: statistics, CPU time and memory before, after, and each second in between.

CPU time and memory of both sides are as the kernel counts them, and GPU use if there is any. A
server is a tree of processes: Triton and a stub for each model instance. Decoding is the client's.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final, Self

from benchmarks.errors import LoadError
from benchmarks.load.records import Window
from benchmarks.load.statistics import Statistics, role_of
from server.installation import STUB_NAME
from server.processes import Usage, command_line, family, parents, usage

EVERY_S: Final = 1.0
TRITON: Final = "triton"
SERVER: Final = "tritonserver"
_GPU_QUERY: Final = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_GPU_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Sample:
    """Both sides at ``at_s`` (``time.perf_counter``'s).

    ``server`` is ``None`` when it runs elsewhere; ``server_cpu_s`` splits its CPU seconds by what
    the processes do. ``gpu_share`` is 0 to 1, the mean of all GPUs.
    """

    at_s: float
    client: Usage
    server: Usage | None = None
    server_cpu_s: Mapping[str, float] = field(default_factory=dict)
    gpu_share: float | None = None
    gpu_memory_mb: float | None = None


class Resources:
    """Samples this process with its children, and the server of ``server_pid`` with its own."""

    def __init__(self, server_pid: int | None) -> None:
        self._server_pid = server_pid
        self._nvidia_smi = shutil.which("nvidia-smi")

    def sample(self, at_s: float) -> Sample:
        """Where both stand now."""
        parent_of = parents()
        server = [] if self._server_pid is None else family(self._server_pid, parent_of)
        own = family(os.getpid(), parent_of)
        decoding = [pid for pid in own[1:] if pid not in server]
        usages = {pid: used for pid in server if (used := usage(pid)) is not None}
        gpu_share, gpu_memory_mb = self._gpu()
        return Sample(
            at_s=at_s,
            client=_together(filter(None, map(usage, [own[0], *decoding]))),
            server=_together(usages.values()) if usages else None,
            server_cpu_s=_by_role(usages),
            gpu_share=gpu_share,
            gpu_memory_mb=gpu_memory_mb,
        )

    def _gpu(self) -> tuple[float | None, float | None]:
        if self._nvidia_smi is None:
            return None, None
        command = [self._nvidia_smi, *_GPU_QUERY]
        with suppress(subprocess.SubprocessError, ValueError, OSError):
            text = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=_GPU_TIMEOUT_S
            ).stdout
            rows = [[float(value) for value in line.split(",")] for line in text.splitlines()]
            if rows:
                return sum(row[0] for row in rows) / len(rows) / 100, sum(row[1] for row in rows)
        return None, None


@dataclass(frozen=True)
class Probe:
    """How to look at a server under load: both may raise when it is gone."""

    statistics: Callable[[], Statistics]
    resources: Callable[[float], Sample]


@dataclass(frozen=True)
class Watched:
    """What a watch saw in its window."""

    window: Window
    before: Statistics
    after: Statistics
    samples: list[Sample] = field(default_factory=list)


class Watch:
    """Looks from ``start_s`` until ``end_s``, or until the ``with`` block ends if that is earlier.

    It looks on a thread of its own: the load goes on meanwhile.
    """

    def __init__(self, probe: Probe, start_s: float, end_s: float = float("inf")) -> None:
        self._probe = probe
        self._start_s = start_s
        self._end_s = end_s
        self._finished = threading.Event()
        self._watched: Watched | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def seen(self) -> Watched:
        """What was seen. Raises ``LoadError`` when the server did not tell, or nothing was."""
        if self._error is not None:
            raise LoadError(
                f"the server stopped telling its statistics: {self._error}: see its log, and start "
                "it again"
            ) from self._error
        if self._watched is None:
            raise LoadError("the load ended before it was measured: give it more time or requests")
        return self._watched

    def _run(self) -> None:
        try:
            self._watched = self._look()
        except Exception as error:  # noqa: BLE001 -- of this thread, and raised in the caller's
            self._error = error

    def _look(self) -> Watched | None:
        if self._finished.wait(max(0.0, self._start_s - perf_counter())):
            return None
        start_s = perf_counter()
        before = self._probe.statistics()
        samples = [self._probe.resources(start_s)]
        while (left_s := self._end_s - perf_counter()) > 0 and not self._finished.is_set():
            self._finished.wait(min(left_s, EVERY_S))
            samples.append(self._probe.resources(perf_counter()))
        end_s = perf_counter()
        return Watched(Window(start_s, end_s), before, self._probe.statistics(), samples)


def program_of(pid: int) -> str:
    """The name of the program that the process runs; empty when it is gone."""
    return Path((command_line(pid) or [""])[0]).name


def _by_role(usages: Mapping[int, Usage]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for pid, used in usages.items():
        role = _role(pid)
        seconds[role] = seconds.get(role, 0.0) + used.cpu_s
    return seconds


def _role(pid: int) -> str:
    """What a process of the server does: a step of the pipeline, or all that Triton does."""
    arguments = command_line(pid)
    if len(arguments) > 1 and Path(arguments[0]).name == STUB_NAME:
        return role_of(Path(arguments[1]).parent.parent.name)  # <model>/<version>/<file>
    return TRITON


def _together(usages: Iterable[Usage]) -> Usage:
    several = list(usages)
    return Usage(sum(each.cpu_s for each in several), sum(each.rss_bytes for each in several))
