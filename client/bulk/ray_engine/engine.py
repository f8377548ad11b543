"""The driver: sends shards to the workers, and merges their results into the job's."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from ...errors import AsrError, ManifestError, RayJobError
from ...manifests.manifest import Entry, duration_of, parse_entry, read_manifest
from ...result import Result
from ...transcript import Transcript
from ..formats.lines import WARNINGS
from ..results import ERROR, LINE, Results
from .cluster import RayOptions, connected, import_ray
from .shards import Shard, cut_into_shards, folder_of, left_over, open_shard, path_of, remove
from .worker import Job, Worker, problem_of

_RESUME: Final = ("RayEngine.resume",)
_SHARDS_FOR_EACH: Final = 4
"""Shards for each worker, at least, so that all are busy until near the end."""


class RayEngine:
    """A job of transcribing a manifest on Ray.

    Raises ``MissingPackage`` when Ray is not installed, and ``ManifestError`` when the
    manifest is no file or shards of an earlier job are there and ``resume`` is not asked for.
    """

    def __init__(self, job: Job, options: RayOptions, *, resume: bool) -> None:
        import_ray(options)
        if not job.manifest.is_file():
            raise ManifestError.of(
                job.manifest,
                "is no file that every worker can read: write the manifest to one",
            )
        if folder_of(job.output).exists() and not resume:
            raise ManifestError.of(
                folder_of(job.output),
                "exists already, from an earlier job: resume it, or remove it to start anew",
                options=_RESUME,
            )
        self._job = job
        self._options = options

    def transcribe(self, results: Results) -> Iterator[tuple[Entry, Result]]:
        """Transcribe the entries missing in ``results``, the open results of the job's output.

        Each recording is in ``results`` when it is yielded, with only the text as its transcript;
        recordings come shard by shard, as these are finished. Raises ``RayJobError`` when the
        job fails, and ``ManifestError`` as ``results`` do.
        """
        for path in left_over(self._job.output):
            yield from self._take_in(path, results, failures=False)
        todo = results.missing(read_manifest(self._job.manifest))
        if (first := next(todo, None)) is not None:
            folder_of(self._job.output).mkdir(exist_ok=True)
            with connected(self._options) as workers:
                shards = self._shards(chain([first], todo), workers)
                for index in self._run(shards, workers):
                    path = path_of(self._job.output, index)
                    yield from self._take_in(path, results, failures=True)
        shutil.rmtree(folder_of(self._job.output), ignore_errors=True)

    def _shards(self, entries: Iterator[Entry], workers: int) -> list[Shard]:
        manifest = self._job.manifest
        most_bytes = manifest.stat().st_size // (_SHARDS_FOR_EACH * workers)
        lines = (entry.line for entry in entries)
        return list(cut_into_shards(manifest, lines, self._options.shard_entries, most_bytes))

    def _run(self, shards: Sequence[Shard], workers: int) -> Iterator[int]:
        """Have the workers transcribe the shards; yields the index of each finished one."""
        ray, job = import_ray(self._options), self._job
        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_no_progress_timeout_s = -1  # a shard of long recordings takes hours
        with ray.data.DataContext.current(context):
            rows = (
                ray.data.from_items(shards, override_num_blocks=len(shards))
                .map_batches(
                    Worker,
                    fn_constructor_args=(lambda: job,),
                    batch_size=1,
                    # None waits behind a slow shard while other workers are idle.
                    compute=ray.data.ActorPoolStrategy(
                        size=min(workers, len(shards)), max_tasks_in_flight_per_actor=1
                    ),
                )
                .iter_rows()
            )
            try:
                for row in rows:
                    if (problem := problem_of(row)) is not None:
                        raise problem
                    yield int(row["index"])
            except ray.exceptions.RayError as error:
                raise RayJobError(
                    f"the job failed on Ray ({error}): finished results are kept, resume it",
                    options=_RESUME,
                ) from error

    def _take_in(
        self, path: Path, results: Results, *, failures: bool
    ) -> Iterator[tuple[Entry, Result]]:
        """Add a shard's results to the job's and remove it; without ``failures`` these are retried.

        If killed at any point, the results are in one of the files, or in both, which is detected.
        """
        with open_shard(path, self._job.settings) as shard:
            pass  # no worker writes it any more, and each line is unique
        for entry in results.missing(self._records(path)):
            if ERROR not in entry.fields or failures:
                results.add(entry, entry.fields)
                yield entry, _result(entry)
        remove(shard)

    def _records(self, path: Path) -> Iterator[Entry]:
        """The lines of a results file: the manifest's entries with their results."""
        with path.open("rb") as lines:
            for line in lines:
                yield parse_entry(self._job.manifest, json.loads(line)[LINE], line)


def _result(entry: Entry) -> Result:
    warnings = tuple(entry.fields.get(WARNINGS, ()))
    if ERROR in entry.fields:
        return Result(entry.line, error=AsrError(entry.fields[ERROR]), warnings=warnings)
    duration_s = duration_of(entry)
    known_s = duration_s if math.isfinite(duration_s) else 0.0
    return Result(entry.line, known_s, Transcript(entry.fields["pred_text"]), warnings=warnings)
