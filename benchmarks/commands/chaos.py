"""``chaos``: bulk transcription while server and client are killed, against an undisturbed run.

A manifest of many utterances is transcribed twice by ``nemo-ctc``, from a server that
``python -m server --restart`` watches over. The second time Triton is killed (-9) three times, one
of its model's processes once, and the client once, after which ``--resume`` goes on. Exit status 1
when an utterance is missing, is there twice, or has another text than in the undisturbed run.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import LoadError
from benchmarks.load.watch import SERVER, program_of
from benchmarks.report import PACKAGES, Cells, write_report
from benchmarks.tables import rich_table
from client.commands.outputs import output_path
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages, tables
from client.errors import ManifestError
from client.manifests.manifest import read_manifest
from client.wire.models import list_models
from server import free_ports
from server.installation import STUB_NAME
from server.processes import family

POLL_S: Final = 0.1
READY_S: Final = 120.0
MOST_RUNS: Final = 10
CLIENT: Final = "client"
PLAN: Final = (
    (0.15, SERVER),
    (0.3, STUB_NAME),
    (0.45, SERVER),
    (0.6, CLIENT),
    (0.75, SERVER),
)
"""Who is killed when that share of the utterances is done."""


@dataclass(frozen=True)
class Verdict:
    """What came of both runs, in utterances and seconds."""

    utterances: int
    missing: int
    doubled: int
    failed: int
    failed_meanwhile: int
    different: int
    undisturbed_s: float
    disturbed_s: float
    client_runs: int
    killed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every utterance is there once, with the undisturbed text."""
        return not (self.missing or self.doubled or self.failed or self.different)


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when something was lost, doubled or changed."""
    parsed = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "manifest.jsonl"
        _write_manifest(parsed.manifest, parsed.utterances, manifest)
        with _server(parsed.repository) as (url, pid):
            job = Job(manifest, parsed.model, url, pid, parsed.utterances)
            verdict = job.compare(folder)
    killed = "killed: " + ", ".join(verdict.killed)
    tables(sys.stdout).print(rich_table(_cells(verdict), killed))
    write_report(parsed.output, PACKAGES, ["chaos", *arguments], {"verdict": asdict(verdict)})
    return 0 if verdict.holds else 1


@dataclass(frozen=True)
class Job:
    """The client's work on a server whose launcher is process ``server_pid``."""

    manifest: Path
    model: str
    url: str
    server_pid: int
    utterances: int

    def compare(self, folder: Path) -> Verdict:
        """Both runs. Raises ``LoadError`` when the undisturbed one fails, or none ends."""
        quiet, loud = folder / "undisturbed.jsonl", folder / "disturbed.jsonl"
        start_s = time.monotonic()
        if self._client(quiet).wait() != 0:
            raise LoadError("the undisturbed run failed: see what the client said")
        undisturbed_s = time.monotonic() - start_s
        start_s = time.monotonic()
        killed, runs, failed = self._disturb(loud)
        disturbed_s = time.monotonic() - start_s
        expected, found = _texts(quiet), _texts(loud)
        lines = [record["line"] for record in found]
        texts = {record["line"]: record.get("pred_text") for record in found}
        return Verdict(
            utterances=self.utterances,
            missing=self.utterances - len(set(lines)),
            doubled=len(lines) - len(set(lines)),
            failed=sum("error" in record for record in found),
            failed_meanwhile=failed,
            different=sum(
                texts.get(record["line"]) not in (None, record["pred_text"]) for record in expected
            ),
            undisturbed_s=round(undisturbed_s, 1),
            disturbed_s=round(disturbed_s, 1),
            client_runs=runs,
            killed=tuple(killed),
        )

    def _disturb(self, output: Path) -> tuple[list[str], int, int]:
        """Who was killed, how often the client was started until it had done everything, failures.

        Failures are counted in every run, also those that a later one mended.
        """
        plan = list(PLAN)
        killed: list[str] = []
        failed = 0
        for run in range(1, MOST_RUNS + 1):
            client = self._client(output)
            while client.poll() is None:
                if plan and _count(output) >= plan[0][0] * self.utterances:
                    killed.append(self._kill(plan.pop(0)[1], client))
                time.sleep(POLL_S)
            failed += output.read_bytes().count(b'"error":')
            if client.returncode == 0 and not plan:
                return killed, run, failed
        raise LoadError(f"the client did not finish in {MOST_RUNS} runs: see what it said")

    def _kill(self, name: str, client: "subprocess.Popen[bytes]") -> str:
        pid = client.pid if name == CLIENT else self._process(name)
        messages.print(f"kill -9: {name}")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return name

    def _process(self, name: str) -> int:
        """A process of the server's; waits for it, as it may just be starting again."""
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            for pid in family(self.server_pid):
                if program_of(pid) == name:
                    return pid
            time.sleep(POLL_S)
        raise LoadError(f"the server has no process {name}: see its log")

    def _client(self, output: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "client", "transcribe", "--model", self.model]
        command += ["--url", self.url, "--manifest", str(self.manifest), "--format", "jsonl"]
        return subprocess.Popen([*command, "--output", str(output), "--resume"])


@contextmanager
def _server(repository: Path) -> Iterator[tuple[str, int]]:
    """The server's address and its launcher's process id, once it is up."""
    ports = free_ports()
    options = [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
    command = [sys.executable, "-m", "server", "--repository", str(repository), "--restart"]
    with subprocess.Popen([*command, *options]) as process:
        try:
            url = f"127.0.0.1:{ports['grpc_port']}"
            list_models(url, wait_s=READY_S)
            yield url, process.pid
        finally:
            process.terminate()


def _write_manifest(speech: Path, utterances: int, path: Path) -> None:
    """The recordings again and again, until there are enough."""
    lines = []
    for entry in read_manifest(speech):
        if isinstance(entry.item, ManifestError):
            raise entry.item
        lines.append(
            {**entry.fields, "audio_filepath": str(Path(str(entry.item.source)).resolve())}
        )
    with path.open("w", encoding="utf-8") as manifest:
        for line in itertools.islice(itertools.cycle(lines), utterances):
            manifest.write(json.dumps(line, ensure_ascii=False) + "\n")


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _texts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _cells(verdict: Verdict) -> Cells:
    rows = [
        (name.replace("_", " "), str(value))
        for name, value in asdict(verdict).items()
        if name != "killed"
    ]
    return Cells(("", "seen"), rows)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks chaos", __doc__)
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="what to serve")
    add("--model", required=True, metavar="NAME", help="a model in it")
    add("--manifest", type=Path, required=True, metavar="M.jsonl", help="recordings, repeated")
    add("--utterances", type=positive(int), default=5000, help="to transcribe (%(default)s)")
    add("--output", type=output_path, metavar="RUN.json", help="the verdict and its circumstances")
    return parser
