"""The published model through a running Triton, many requests in flight."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from client.contract import AUDIO_SIGNAL, LOG_PROBS, LOG_PROBS_LENGTH, TOKENS, Contract
from export.errors import ExportError
from export.verification.outputs import Outputs, collapse
from server.ports import free_ports

IN_FLIGHT: Final = 16
READY_TIMEOUT_S: Final = 120.0
REQUEST_TIMEOUT_S: Final = 120.0

PROJECT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class BatchStatistics:
    """How many utterances a model ran, in how many executions."""

    model: str
    utterances: int
    executions: int


def run_triton(
    url: str, name: str, contract: Contract, utterances: Sequence[NDArray[Any]]
) -> Iterator[Outputs]:
    """Outputs of int16 ``utterances``, in order, with up to ``IN_FLIGHT`` requests at once.

    Raises :class:`ExportError` when the server refuses a request or cannot be reached.
    """
    client = InferenceServerClient(url)

    def infer(audio: NDArray[Any]) -> Outputs:
        signal = InferInput(AUDIO_SIGNAL, [1, len(audio)], contract.audio_type)
        signal.set_data_from_numpy(audio[np.newaxis])
        wanted = [InferRequestedOutput(o) for o in (TOKENS, LOG_PROBS, LOG_PROBS_LENGTH)]
        result = client.infer(name, [signal], outputs=wanted, client_timeout=REQUEST_TIMEOUT_S)
        frames = int(result.as_numpy(LOG_PROBS_LENGTH)[0, 0])
        tokens = result.as_numpy(TOKENS)[0, :frames]
        log_probs = result.as_numpy(LOG_PROBS)[0, :frames]
        return Outputs(None, log_probs, tokens, collapse(tokens, contract.vocabulary))

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        try:
            yield from pool.map(infer, utterances)
        except InferenceServerException as error:
            raise ExportError(f"Triton at {url} failed on {name}: {error}") from error


def batch_statistics(url: str, models: Sequence[str]) -> list[BatchStatistics]:
    """Triton's own counts since it started."""
    client = InferenceServerClient(url)
    statistics = []
    for model in models:
        entry = client.get_inference_statistics(model).model_stats[0]
        statistics.append(BatchStatistics(model, entry.inference_count, entry.execution_count))
    return statistics


@contextlib.contextmanager
def embedded_server(repository: Path) -> Iterator[str]:
    """Serve ``repository`` with this project's embedded Triton; yields its gRPC URL.

    The server runs in ``.venv``, whose packages conflict with NeMo's, as a subprocess.
    Raises :class:`ExportError` when it does not become ready.
    """
    python = PROJECT / ".venv" / "bin" / "python"
    if not python.exists():
        raise ExportError(
            f"no server environment at {python.parent.parent}: run `make setup`, or give the"
            " address of a running Triton with --url"
        )
    ports = free_ports()
    command = [str(python), "-m", "server", "--repository", str(repository.resolve())]
    command += [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
    with subprocess.Popen(command, cwd=PROJECT, stdout=sys.stderr) as process:
        url = f"127.0.0.1:{ports['grpc_port']}"
        try:
            _wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    client = InferenceServerClient(url)
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _answers(client.is_server_ready):
        if process.poll() is not None:
            raise ExportError(
                f"the embedded Triton ended with status {process.returncode} before it was"
                " ready; its messages are above"
            )
        if time.monotonic() > deadline:
            raise ExportError(f"the embedded Triton was not ready within {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except InferenceServerException:
        return False
