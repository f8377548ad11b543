"""Processes, their families and their CPU time and memory, from Linux's ``/proc``."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_HZ: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat from the state on, which follows the name.
_PARENT, _USER, _KERNEL, _PAGES = 1, 11, 12, 21
_IDLE: Final = (3, 4)  # idle, waiting for disks: of the first line of /proc/stat
_GUESTS: Final = 8  # from here on, time that is counted before as well


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
    """Seconds of CPU that the process has had; 0 when it has ended."""
    used = usage(pid)
    return used.cpu_s if used else 0.0


def children(pid: int) -> set[int]:
    """The processes that ``pid`` started and that live."""
    return {child for child, parent in parents().items() if parent == pid}


def parents() -> dict[int, int]:
    """The parent of each process that lives."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            found[int(entry.name)] = int(fields[_PARENT])
    return found


def family(root: int, parent_of: Mapping[int, int] | None = None) -> list[int]:
    """``root`` and all that descend from it; now, or when :func:`parents` said ``parent_of``."""
    below: dict[int, list[int]] = {}
    for pid, parent in (parents() if parent_of is None else parent_of).items():
        below.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:  # grows while it is walked through
        found += below.get(pid, [])
    return found


def machine_s() -> float:
    """Seconds of CPU that everybody on the machine has had, all CPUs together."""
    line = (_PROC / "stat").read_text(encoding="ascii").partition("\n")[0]
    ticks = [int(field) for field in line.split()[1:]][:_GUESTS]
    return sum(tick for place, tick in enumerate(ticks) if place not in _IDLE) / _TICKS_HZ


def _stat(pid: int) -> list[str]:
    """``/proc/PID/stat`` from its third field on; empty when the process has ended."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        # "pid (name) state ppid …", where the name may hold anything.
        return text.rpartition(")")[2].split()
    return []
