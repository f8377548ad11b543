"""Processes as Linux's ``/proc`` tells of them: sessions, families, CPU time and memory.

The launcher starts Triton as the leader of a session of its own, and Triton starts one stub process
per model instance in it. A dead stub is never restarted, and readiness stays 200; only the
process table tells.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.05
KILL_TIMEOUT_S = 10.0
_PROC = Path("/proc")
_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat from the state on, which follows the name.
_STATE, _PARENT, _SESSION, _USER, _KERNEL, _PAGES = 0, 1, 3, 11, 12, 21
_IDLE = (3, 4)  # idle, waiting for disks: of the first line of /proc/stat
_GUESTS = 8  # from here on, time that is counted before as well


@dataclass(frozen=True)
class Usage:
    """Of some processes together: CPU seconds since they started, and resident memory.

    Memory that processes share is counted in each of them.
    """

    cpu_s: float
    rss_bytes: int


def usage(pid: int) -> Usage | None:
    """What a process has used, all threads together; ``None`` when it has ended."""
    if not (fields := _stat(pid)):
        return None
    ticks = int(fields[_USER]) + int(fields[_KERNEL])
    return Usage(ticks / _TICKS_HZ, int(fields[_PAGES]) * _PAGE_BYTES)


def used_s(pid: int) -> float:
    """Seconds of CPU that the process has had, in user mode and in the kernel; 0 when it ended."""
    used = usage(pid)
    return used.cpu_s if used else 0.0


def resident_bytes() -> int:
    """The resident memory of this process."""
    used = usage(os.getpid())
    return used.rss_bytes if used else 0


def machine_s() -> float:
    """Seconds of CPU that everybody on the machine has had, all CPUs together."""
    line = (_PROC / "stat").read_text(encoding="ascii").partition("\n")[0]
    ticks = [int(field) for field in line.split()[1:]][:_GUESTS]
    return sum(tick for place, tick in enumerate(ticks) if place not in _IDLE) / _TICKS_HZ


def command_line(pid: int) -> list[str]:
    """The arguments a process was started with; empty when it has ended."""
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_text().rstrip("\0").split("\0")
    return []


def children(pid: int) -> set[int]:
    """The processes that ``pid`` started and that live."""
    return {child for child, parent in parents().items() if parent == pid}


def parents() -> dict[int, int]:
    """The parent of each process that lives."""
    return {pid: int(fields[_PARENT]) for pid in _pids() if (fields := _stat(pid))}


def family(root: int, parent_of: Mapping[int, int] | None = None) -> list[int]:
    """``root`` and all that descend from it; now, or when ``parents`` said ``parent_of``."""
    below: dict[int, list[int]] = {}
    for pid, parent in (parents() if parent_of is None else parent_of).items():
        below.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:  # grows while it is walked through
        found += below.get(pid, [])
    return found


def runs_in_session(pid: int, session: int) -> bool:
    """Whether this process lives, as more than a zombie, and belongs to the session."""
    fields = _stat(pid)
    return bool(fields) and int(fields[_SESSION]) == session and fields[_STATE] not in "ZX"


def session_members(session: int) -> Iterator[int]:
    """Process ids of the session's living members."""
    return (pid for pid in _pids() if runs_in_session(pid, session))


def kill_session(session: int, timeout_s: float = KILL_TIMEOUT_S) -> None:
    """Kill every member of the session and wait until none is left, or the time is up.

    A process that waits for a device dies when the kernel lets it; waiting on would not help.
    """
    deadline_s = time.monotonic() + timeout_s
    while (members := list(session_members(session))) and time.monotonic() < deadline_s:
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _stat(pid: int) -> list[str]:
    """``/proc/PID/stat`` from its third field on; empty when the process has ended."""
    with suppress(OSError):  # no such process, or it ended while we looked
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        # "pid (name) state ppid pgrp session …", where the name may hold anything.
        return text.rpartition(")")[2].split()
    return []
