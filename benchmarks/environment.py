"""When, with which versions, on what and by which command something was measured."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPU_INFORMATION = Path("/proc/cpuinfo")
PROJECT = Path(__file__).resolve().parents[1]


def describe(packages: Iterable[str], arguments: Iterable[str], program: str) -> dict[str, Any]:
    """The circumstances of a measurement, ready for JSON; absent ``packages`` are left out."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "command": shlex.join(["python", "-m", program, *arguments]),
        "python": platform.python_version(),
        "packages": versions(packages),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
    }


def _revision() -> str:
    """The commit that is checked out, and whether files differ from it; empty where git is not."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        return ""
    command = [git, "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    described = subprocess.run(command, capture_output=True, text=True, check=False)
    return described.stdout.strip()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = CPU_INFORMATION.read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} ({sys.platform})"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
