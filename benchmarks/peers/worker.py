"""``python -m benchmarks.peers.worker ENGINE``: one peer in a process of its own.

Peers need environments that exclude each other, and yet take turns in one run. A worker loads once
and then works when it is told to, idle in between. It speaks JSON Lines on its standard input and
output::

    → {"threads": 2, "settings": {…}}                    load; once
    ← {"ready": {"package": "version", …}}
    → {"files": ["a.wav", …], "options": {…}}            transcribe; any number of times
    ← {"texts": ["…", …]}
    ← {"error": "…"}                                     instead of either answer

It ends when its input does. It starts in every peer's environment, and imports no package.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, TextIO, TypeVar

from benchmarks.report import versions

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Engine(Protocol):
    """A loaded model.

    Its module has ``PACKAGES``, whose versions tell what was measured, and ``load(settings,
    threads)``, a context manager of it, which is to compute with so many threads.
    """

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """The text of each WAV file, in order; reading the files is part of the work."""


def in_batches(
    items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], Sequence[Answer]]
) -> list[Answer]:
    """What ``work`` makes of ``size`` items at a time, in their order."""
    starts = range(0, len(items), size)
    return [answer for start in starts for answer in work(items[start : start + size])]


def by_length(lengths: Sequence[int]) -> list[int]:
    """The positions in the order of length, shortest first."""
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def main(arguments: Sequence[str]) -> int:
    """Serve the engine until the input ends."""
    # What libraries print must not reach the parent as answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answers:
        return serve(arguments[0], sys.stdin, answers)


def serve(engine: str, requests: TextIO, answers: TextIO) -> int:
    """Answer each request; 1 when the engine did not load."""
    try:
        first = json.loads(requests.readline())
        keep_to_cpus(first["threads"])
        module: Any = import_module(engine)
        with module.load(first["settings"], first["threads"]) as loaded:
            _say(answers, {"ready": versions(module.PACKAGES)})
            for line in requests:
                _say(answers, _transcribed(loaded, json.loads(line)))
    # Whatever a peer raises is its answer.
    except Exception as error:  # noqa: BLE001
        _say(answers, _error(error))
        return 1
    return 0


def _transcribed(engine: Engine, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"texts": engine.transcribe(request["files"], request["options"])}
    except Exception as error:  # noqa: BLE001  # as above; the next request may do better
        return _error(error)


def keep_to_cpus(threads: int) -> None:
    """Bind this process and its children to as many CPUs as they may have threads.

    Some peers have threads beside those that compute; this way nobody has more than its share.
    """
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cpus)


def _say(answers: TextIO, message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message, ensure_ascii=False) + "\n")
    answers.flush()


def _error(error: Exception) -> dict[str, str]:
    return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
