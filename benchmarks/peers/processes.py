"""The parent's side of ``benchmarks.peers.worker``: start a peer, tell it, listen, end it."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import PeerError
from benchmarks.peers.layout import PROJECT
from client.utils.closing import Closing
from server.processes import family, used_s

_END_TIMEOUT_S: Final = 60.0
_LINES_OF_ERROR: Final = 5


@dataclass(frozen=True)
class Start:
    """How to start a worker: interpreter, module of the engine, its settings, and threads."""

    python: Path
    engine: str
    settings: Mapping[str, Any]
    threads: int


class Worker(Closing):
    """A peer that has loaded its model; a context manager.

    Raises ``PeerError`` when the interpreter is not there, or the peer does not load.
    """

    def __init__(self, name: str, start: Start) -> None:
        self.name = name
        if not start.python.exists():
            raise PeerError(f"{name}: no environment with {start.python}: run 'make setup-peers'")
        self._errors = tempfile.TemporaryFile(  # noqa: SIM115  # close() does
            "w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            [str(start.python), "-m", "benchmarks.peers.worker", start.engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            cwd=PROJECT,  # from where every environment imports this package
            env=environment(start),
            start_new_session=True,  # a terminal's interrupt ends it through its input, in order
        )
        try:
            answer = self._ask({"threads": start.threads, "settings": dict(start.settings)})
        except BaseException:
            self.close()
            raise
        self.versions: Final[dict[str, str]] = answer["ready"]
        self._members = family(self._process.pid)

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """The texts of the files; raises ``PeerError`` with what the peer said."""
        texts: list[str] = self._ask({"files": list(files), "options": dict(options)})["texts"]
        if len(texts) != len(files):
            raise PeerError(f"{self.name}: {len(texts)} texts of {len(files)} files")
        return texts

    def cpu_s(self) -> float:
        """Seconds of CPU that it and the processes it started while loading have had.

        Waiting in a busy loop counts, which is what idle peers must not do.
        """
        return sum(map(used_s, self._members))

    def close(self) -> None:
        """Let it end what it does, and then itself; one that does not is killed."""
        if self._process.stdin is not None and self._process.stdout is not None:
            with suppress(BrokenPipeError):  # it has ended, and what it was told last is still here
                self._process.stdin.close()
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
        self._errors.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = ""  # of a process that has ended
        if self._process.stdin is not None and self._process.stdout is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
        if not answer:
            raise PeerError(f"{self.name}: its process ended, its last words: {self._last_words()}")
        message: dict[str, Any] = json.loads(answer)
        if "error" in message:
            raise PeerError(f"{self.name}: {message['error']}")
        return message

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()[-_LINES_OF_ERROR:]
        return " / ".join(lines) or "none"


def environment(start: Start) -> dict[str, str]:
    """The worker's environment: threads for the libraries that read them there, no network."""
    threads = str(start.threads)
    return {
        **os.environ,
        # First, for what the worker starts in its turn, such as Triton's stubs.
        "PATH": os.pathsep.join((str(start.python.parent), os.environ.get("PATH", os.defpath))),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
