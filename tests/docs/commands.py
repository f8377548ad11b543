"""The commands that the documentation shows, and where they are run.

A block of ``sh`` is run as it stands, unless the line before it says why not: ``<!-- not run:
needs a GPU -->``. Files that the texts name are there, with content that fits.
"""

import json
import os
import re
import shutil
import signal
import string
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import PROJECT

BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?```sh\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
THEMSELVES = ("make test", "make lint")
"""What runs the tests, and would do so for ever."""
_SHORT = "--seconds 0.5 --warmup 0.2 --concurrency 1 --repeats 1"
SHORTER = {"make bench": f" ARGS='{_SHORT}'", ".venv/bin/python -m benchmarks serve ": f" {_SHORT}"}
"""What is done with less of it: how commands begin, and what is added to them."""
SERVER = re.compile(r"^(make serve|\.venv/bin/python -m server)( |$)")
READY_S = 60.0
_OF_TESTS = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHONPATH")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _OF_TESTS}
"""A reader's: what `make test` was called with, and the tests' own path, are for them alone."""


@dataclass(frozen=True)
class Block:
    """A block of commands, by the page and the line where it begins; why it is not run, if so."""

    page: str
    line: int
    text: str
    reason: str = ""

    @property
    def commands(self) -> list[str]:
        """One for each line, continued lines joined, without comments on lines of their own."""
        joined = self.text.replace("\\\n", " ")
        return [line for line in joined.splitlines() if line.strip() and line[0] != "#"]


def blocks(page: Path) -> list[Block]:
    """The page's blocks of ``sh``, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.relative_to(PROJECT).as_posix(),
            text.count("\n", 0, match.start()) + 1,
            match["text"],
            match["reason"] or "",
        )
        for match in BLOCK.finditer(text)
    ]


class Workplace:
    """A folder as a reader has it: the project, a model repository, and files of his own."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        self._servers: list[subprocess.Popen[bytes]] = []
        for entry in PROJECT.iterdir():
            if entry.name not in ("model_repository", ".cache", ".git", ".pytest_cache"):
                (folder / entry.name).symlink_to(entry)
        shutil.copytree(repository, folder / "model_repository")
        _write_files(folder)

    def run(self, command: str, timeout_s: float = 600.0) -> None:
        """Run a command; a server goes on in the background. Raises ``AssertionError``."""
        command = command.split(" #", maxsplit=1)[0].strip()
        if command in THEMSELVES:
            return
        command += next((more for start, more in SHORTER.items() if command.startswith(start)), "")
        if SERVER.match(command):
            self._serve(command)
            return
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"

    def close(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)

    def _serve(self, command: str) -> None:
        self.close()
        self._servers.clear()
        log = self.folder / "server.log"
        with log.open("wb") as stream:
            server = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=_ENVIRONMENT,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._servers.append(server)
        deadline_s = time.monotonic() + READY_S
        while "server: ready" not in log.read_text(errors="replace"):
            assert server.poll() is None, log.read_text(errors="replace")[-4000:]
            assert time.monotonic() < deadline_s, f"{command}: not ready after {READY_S:g} s"
            time.sleep(0.2)


_CALLS: Final = {"c": "call.wav", "d": "meeting.wav"}


@contextmanager
def workplace(folder: Path, repository: Path) -> Iterator[Workplace]:
    """The folder while the block lasts, its servers stopped after it."""
    place = Workplace(folder, repository)
    try:
        yield place
    finally:
        place.close()


def _write_files(folder: Path) -> None:
    """What the texts call the reader's own: recordings, manifests, sentences, models."""
    clips = PROJECT / "demo" / "clips"
    entries = [
        json.loads(line) for line in (clips / "manifest.jsonl").read_text("utf-8").splitlines()
    ]
    _own_recordings(folder, entries)
    for entry in entries:
        entry["audio_filepath"] = str(clips / entry["audio_filepath"])
    manifest = "".join(json.dumps(entry) + "\n" for entry in entries)
    for name in ("calls", "test", "dev", "train", "speech"):
        (folder / f"{name}.jsonl").write_text(manifest, encoding="utf-8")
    speaker = "SPEAKER meeting 1 0.5 2.0 <NA> <NA> anna <NA> <NA>\n"
    (folder / "meeting.rttm").write_text(speaker, encoding="utf-8")
    sentences = "".join(f"{entry['text']}\n" for entry in entries)
    (folder / "sentences.txt").write_text(sentences, encoding="utf-8")
    copies: Mapping[str, Path] = {
        "my_model.nemo": PROJECT / "demo" / "demo.nemo",
        "3-gram.pruned.1e-7.arpa.gz": PROJECT / "demo" / "lm.arpa.gz",
    }
    for name, source in copies.items():
        (folder / name).symlink_to(source)


def _own_recordings(folder: Path, entries: list[dict[str, str]]) -> None:
    """Recordings by themselves, apart from their transcripts, and beside them."""
    for name in ("clips", "texts", "dev", "test"):
        (folder / name).mkdir()
    for name, entry in zip(string.ascii_lowercase, entries, strict=False):
        source = PROJECT / "demo" / "clips" / entry["audio_filepath"]
        for recording in (f"{name}.wav", f"{name}.flac"):  # what is in a file says what it is
            (folder / recording).symlink_to(source)
        for place in ("clips", "dev", "test"):
            (folder / place / f"{name}.flac").symlink_to(source)
        if name in _CALLS:
            (folder / _CALLS[name]).symlink_to(source)
        for place in ("texts", "dev", "test"):
            (folder / place / f"{name}.txt").write_text(entry["text"], encoding="utf-8")
