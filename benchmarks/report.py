"""What was measured, with when, with which versions, on what and by which command, as JSON."""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.errors import ProviderError
from client.utils.files import written_whole

PACKAGES: Final = (
    "tritonclient", "grpcio", "nvidia-pytriton", "onnxruntime", "numpy", "nemo-ctc-search",
)  # fmt: skip
"""Whose versions matter to a load."""
CPU_INFORMATION = Path("/proc/cpuinfo")
PROJECT = Path(__file__).resolve().parents[1]


class Cells(NamedTuple):
    """A table: names in its first column, numbers in the others."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def describe(
    packages: Iterable[str], arguments: Iterable[str], program: str = "benchmarks"
) -> dict[str, Any]:
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


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def optional(module: str, package: str) -> Any:
    """The module; raises ``ProviderError`` when its package is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ProviderError(
            f"{package} cannot be imported ({error}): pip install {package}"
        ) from error


def write_report(
    path: Path | None, packages: Iterable[str], arguments: Iterable[str], figures: Mapping[str, Any]
) -> None:
    """Write what ``python -m benchmarks`` with these arguments found, if a path is given."""
    write_json(path, {**describe(packages, arguments), **figures})


def write_json(path: Path | None, document: Mapping[str, Any]) -> None:
    """Write the file anew, whole or not at all, if a path is given."""
    if path is not None:
        write_text(path, as_json(document) + "\n")


def as_json(document: Mapping[str, Any]) -> str:
    """The document as JSON, paths in it as text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=os.fspath)


def write_text(path: Path, text: str) -> None:
    """Write the file anew, whole or not at all."""
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


def markdown(table: Cells) -> str:
    """The table in Markdown, numbers to the right."""
    rule = ["---", *["--:"] * (len(table.headings) - 1)]
    rows = (table.headings, rule, *table.rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _revision() -> str:
    """The commit that is checked out, and whether files differ from it; empty where git is not."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        return ""
    command = [git, "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    described = subprocess.run(command, capture_output=True, text=True, check=False)
    return described.stdout.strip()


def _cpu_name() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = CPU_INFORMATION.read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} ({sys.platform})"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
