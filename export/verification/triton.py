"""Runs a model through Triton, with many requests in flight."""

import contextlib
import functools
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from client.wire.contract import (
    AUDIO_SIGNAL,
    LOG_PROBS,
    LOG_PROBS_LENGTH,
    TOKENS,
    TOP_LOG_PROBS,
    TOP_TOKENS,
    Contract,
)
from client.wire.top_tokens import pack
from export.errors import ExportError
from export.verification.outputs import Outputs, greedy_text
from server.ports import free_ports

READY_TIMEOUT_S: Final = 120.0
REQUEST_TIMEOUT_S: Final = 120.0
CALL_TIMEOUT_S: Final = 10.0

PROJECT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class BatchStatistics:
    """How many utterances a model ran, and in how many executions by size of the batch."""

    model: str
    utterances: int
    executions_by_size: Mapping[int, int]

    @property
    def executions(self) -> int:
        """Batches of any size."""
        return sum(self.executions_by_size.values())

    def since(self, before: "BatchStatistics") -> "BatchStatistics":
        """The difference from ``before``."""
        added = {
            size: count - before.executions_by_size.get(size, 0)
            for size, count in self.executions_by_size.items()
        }
        return BatchStatistics(
            self.model,
            self.utterances - before.utterances,
            {size: count for size, count in sorted(added.items()) if count},
        )


def run_triton(
    url: str,
    name: str,
    contract: Contract,
    utterances: Sequence[NDArray[Any]],
    at_once: int,
) -> Iterator[Outputs]:
    """Outputs of int16 ``utterances``, in order, sent in waves of ``at_once`` requests.

    Requests that arrive together are batched, so that batches of that size are formed. Raises
    ``ExportError`` when the server rejects a request or cannot be reached.
    """
    with contextlib.closing(InferenceServerClient(url)) as client:
        infer = functools.partial(_infer, client, name, contract)
        with ThreadPoolExecutor(at_once) as pool, _server_errors(url):
            for start in range(0, len(utterances), at_once):
                wave = (audio[np.newaxis] for audio in utterances[start : start + at_once])
                yield from itertools.chain.from_iterable(pool.map(infer, wave))


def run_triton_batch(url: str, name: str, contract: Contract, audio: NDArray[Any]) -> list[Outputs]:
    """Outputs of one request of several utterances, int16 [B, N], which is one batch throughout.

    Raises ``ExportError`` when the server rejects the request or cannot be reached.
    """
    with contextlib.closing(InferenceServerClient(url)) as client, _server_errors(url):
        return _infer(client, name, contract, audio)


def _infer(
    client: InferenceServerClient, name: str, contract: Contract, audio: NDArray[Any]
) -> list[Outputs]:
    signal = InferInput(AUDIO_SIGNAL, list(audio.shape), contract.audio_type)
    signal.set_data_from_numpy(audio)
    best = () if contract.top_k is None else (TOP_TOKENS, TOP_LOG_PROBS)
    wanted = [
        InferRequestedOutput(output) for output in (TOKENS, LOG_PROBS, LOG_PROBS_LENGTH, *best)
    ]
    model = contract.model_for(name, audio.shape[1])
    result = client.infer(
        model,
        [signal],
        model_version=str(contract.model_version),
        outputs=wanted,
        client_timeout=REQUEST_TIMEOUT_S,
    )
    names = (TOKENS, LOG_PROBS, LOG_PROBS_LENGTH)
    tops = pack(*map(result.as_numpy, best)) if best else [None] * len(audio)
    rows = zip(*map(result.as_numpy, names), tops, strict=True)
    return [
        Outputs(
            None,
            log_probs[: frames[0]],
            tokens[: frames[0]],
            greedy_text(tokens[: frames[0]], contract),
            None if top is None else top[: frames[0]],
        )
        for tokens, log_probs, frames, top in rows
    ]


def batch_statistics(url: str, models: Sequence[str]) -> list[BatchStatistics]:
    """Triton's own counts since it started; raises ``ExportError``."""
    with contextlib.closing(InferenceServerClient(url)) as client, _server_errors(url):
        entries = [
            client.get_inference_statistics(model, client_timeout=CALL_TIMEOUT_S).model_stats[0]
            for model in models
        ]
    return [
        BatchStatistics(
            model,
            entry.inference_count,
            {batch.batch_size: batch.compute_infer.count for batch in entry.batch_stats},
        )
        for model, entry in zip(models, entries, strict=True)
    ]


@contextlib.contextmanager
def _server_errors(url: str) -> Iterator[None]:
    try:
        yield
    except InferenceServerException as error:
        raise ExportError(f"Triton at {url} failed: {error}") from error


@contextlib.contextmanager
def embedded_server(repository: Path, names: Sequence[str]) -> Iterator[str]:
    """Serve the models ``names`` of ``repository`` with the embedded Triton; yields its gRPC URL.

    The server runs in ``.venv``, whose packages conflict with NeMo's, as a subprocess that ends
    with this process, even if it is killed.
    Raises ``ExportError`` when it does not become ready.
    """
    python = PROJECT / ".venv" / "bin" / "python"
    if not python.exists():
        raise ExportError(
            f"no server environment at {python.parent.parent}: install it as README.md says, give"
            " the url of a running Triton, or verify without Triton",
            path=python.parent.parent,
            options=("url", "through_triton"),
        )
    ports = free_ports()
    command = [str(python), str(PROJECT / "server" / "tether.py"), str(os.getpid())]
    command += [str(python), "-m", "server", "--repository", str(repository.resolve())]
    command += [f"--model={name}" for name in names]
    command += [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
    with subprocess.Popen(command, cwd=PROJECT, stdout=sys.stderr) as process:
        url = f"127.0.0.1:{ports['grpc_port']}"
        try:
            _wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _is_ready(url):
        if process.poll() is not None:
            raise ExportError(
                f"the embedded Triton ended with status {process.returncode} before it was"
                " ready; its messages are above"
            )
        if time.monotonic() > deadline:
            raise ExportError(f"the embedded Triton was not ready within {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    with contextlib.closing(InferenceServerClient(url)) as client:
        try:
            return bool(client.is_server_ready(client_timeout=CALL_TIMEOUT_S))
        except InferenceServerException:
            return False
