"""CPU time and memory of server and client as the kernel counts them, and GPU use if there is any.

A server is a tree of processes: Triton and a stub for each model instance. Its decoding processes
belong to the client.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.load.statistics import role_of
from server.installation import STUB_NAME
from server.processes import Usage, command_line, family, parents, usage

TRITON: Final = "triton"
_GPU_QUERY: Final = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_GPU_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Sample:
    """Both sides at ``at_s`` (:func:`time.perf_counter`'s).

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
