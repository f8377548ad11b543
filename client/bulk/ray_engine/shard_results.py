"""The results files of shards, beside the job's own: ``OUT.shards/00000.jsonl`` and so on."""

import fcntl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..results import Results, beside

_PATIENCE_S: Final = 60.0
_INTERVAL_S: Final = 0.1
_STARTS: Final = ".starts"


def folder_of(output: Path) -> Path:
    """Where the shards of a job with that output are."""
    return beside(output, "shards")


def path_of(output: Path, index: int) -> Path:
    """The results file of a shard."""
    return folder_of(output) / f"{index:05}.jsonl"


def left_over(output: Path) -> list[Path]:
    """The results files of shards that are there, of an earlier job."""
    files = folder_of(output).glob("*.jsonl")
    return sorted(path for path in files if path.stem.isdecimal())  # not 00000.errors.jsonl


def open_shard(path: Path, settings: Mapping[str, Any]) -> Results:
    """A shard's results, new or gone on with; raises as ``Results`` does.

    Ray needs a moment until the workers of a job that was killed are gone: it waits for them.
    """
    with path.open("ab") as stream:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not _free(stream.fileno()) and time.monotonic() < deadline_s:
            time.sleep(_INTERVAL_S)
    return Results(path, settings, resume=True)


def count_start(path: Path, line: int) -> int:
    """Note that a worker goes on with a shard at that line; how many have, with this one."""
    with path.with_suffix(_STARTS).open("a+", encoding="ascii") as starts:
        starts.write(f"{line}\n")
        starts.seek(0)
        return sum(int(each) == line for each in starts)


def remove(results: Results) -> None:
    """Remove the files of a shard that is in the job's results."""
    starts = results.path.with_suffix(_STARTS)
    for path in (results.path, results.failures_path, results.settings_path, starts):
        path.unlink(missing_ok=True)


def _free(descriptor: int) -> bool:
    """Whether nobody else writes the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
