"""Who has had how much time on CPUs, from Linux's ``/proc``."""

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the command's name, which may hold anything.
_PARENT, _USER, _SYSTEM = 1, 11, 12
_IDLE: Final = (3, 4)  # idle, waiting for disks: of the first line of /proc/stat
_GUESTS: Final = 8  # from here on, time that is counted before as well


def family(pid: int) -> list[int]:
    """The process and all that descend from it, now."""
    children: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*"):
        if fields := _stat(int(path.name)):
            children.setdefault(int(fields[_PARENT]), []).append(int(path.name))
    members = [pid]
    for member in members:  # grows while it is walked through
        members += children.get(member, [])
    return members


def used_s(pid: int) -> float:
    """Seconds of CPU that the process has had; 0 when it is gone."""
    fields = _stat(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S if fields else 0.0


def machine_s() -> float:
    """Seconds of CPU that everybody on the machine has had, all CPUs together."""
    line = (_PROC / "stat").read_text(encoding="ascii").partition("\n")[0]
    ticks = [int(field) for field in line.split()[1:]][:_GUESTS]
    return sum(tick for place, tick in enumerate(ticks) if place not in _IDLE) / _TICKS_PER_S


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
