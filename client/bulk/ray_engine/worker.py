"""A worker: an actor of Ray's that transcribes one shard after the other."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ...errors import AsrError, RayJobError
from ...transcriber import Transcriber
from ...utils.utf8 import replaced
from ..formats.lines import json_fields
from .shards import Shard, count_start, entries_of, open_shard, path_of

_MOST_STARTS: Final = 5
"""Starts of a shard at one line: Ray retries for ever, and a recording may kill every worker."""


@dataclass(frozen=True)
class Job:
    """The job, the same for every worker, to whom it is pickled.

    ``connect`` makes a worker's transcriber, which decodes in the worker itself. ``settings`` are
    what the results depend on, as for ``Results``; ``output`` is the job's
    results file. Relative paths, those of ``connect`` too, are from ``folder``.
    """

    connect: Callable[[], Transcriber]
    manifest: Path
    output: Path
    settings: Mapping[str, Any]
    folder: Path = field(default_factory=Path.cwd)


def problem_of(row: Mapping[str, Any]) -> RayJobError | None:
    """The error of a shard, from a worker's row; ``None`` for a finished one."""
    if not row["problem"]:
        return None
    options = tuple(row["options"].split())
    return RayJobError(f"a worker failed: {row['problem']}", options=options)


class Worker:
    """One process of the job, with a transcriber of its own.

    ``job`` is a function because Ray logs the arguments of a job, which holds secrets; a function
    shows nothing of them.
    """

    def __init__(self, job: Callable[[], Job]) -> None:
        self._job = job()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Transcribe a batch of one shard; gives a row, of which ``problem_of`` reads the error."""
        (shard,) = batch["item"]
        problem, options = "", ""
        try:
            self._transcribe(shard)
        except AsrError as error:  # expected ones come without Ray's traceback
            problem, options = replaced(error.message), " ".join(error.options)
        except OSError as error:
            problem = replaced(str(error))  # Ray's tables are UTF-8
        return {"index": [shard.index], "problem": [problem], "options": [options]}

    def _transcribe(self, shard: Shard) -> None:
        transcriber = self._transcriber
        path = path_of(self._job.output, shard.index)
        with open_shard(path, self._job.settings) as results:
            todo = list(results.missing(entries_of(self._job.manifest, shard)))
            if todo and count_start(path, todo[0].line) > _MOST_STARTS:
                raise RayJobError(
                    f"{_MOST_STARTS} workers died at line {todo[0].line} of {self._job.manifest} "
                    "or soon after, see Ray's logs: empty the line of a recording that kills them, "
                    "or give them more memory"
                )
            outcomes = transcriber.transcribe(entry.item for entry in todo)
            for entry, result in zip(todo, outcomes, strict=True):
                results.add(entry, json_fields(entry, result))

    @cached_property
    def _transcriber(self) -> Transcriber:
        """Connected with the first shard, so that its errors are reported like others."""
        os.chdir(self._job.folder)
        return self._job.connect()
