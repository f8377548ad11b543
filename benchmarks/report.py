"""Figures and their circumstances, written as JSON."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import describe
from client.commands.streams import open_output


def write_report(
    path: Path | None, packages: Iterable[str], arguments: Iterable[str], figures: Mapping[str, Any]
) -> None:
    """Write what ``python -m benchmarks`` with these arguments found, if a path is given."""
    if path is not None:
        report = {**describe(packages, arguments, "benchmarks"), **figures}
        with open_output(path) as stream:
            stream.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
