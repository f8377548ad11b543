"""The server's processes as the kernel lists them: all members of its session.

The launcher starts Triton as the leader of a session of its own, and Triton starts one stub process
per model instance in it. A dead stub is never restarted, and readiness stays 200; only the
process table tells.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

POLL_S = 0.05
KILL_TIMEOUT_S = 10.0


def runs_in_session(pid: int, session: int) -> bool:
    """Whether this process lives, as more than a zombie, and belongs to the session."""
    with suppress(OSError):  # no such process, or it ended while we looked
        # "pid (name) state ppid pgrp session …", where the name may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[3]) == session and fields[0] not in "ZX"
    return False


def session_members(session: int) -> Iterator[int]:
    """Process ids of the session's living members."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and runs_in_session(int(entry.name), session):
            yield int(entry.name)


def command_line(pid: int) -> list[str]:
    """The arguments a process was started with; empty when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    return []


def cpu_ticks(pid: int) -> int:
    """The processor time a process has used, in the kernel's ticks; 0 when it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # in user mode, and in the kernel
    return 0


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
