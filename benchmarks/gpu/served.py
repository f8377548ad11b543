"""The embedded Triton under load: how much audio a second its clients get transcribed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from benchmarks.errors import ModelError
from benchmarks.pipeline import Array, noise
from client.contract import AUDIO_SIGNAL, LOG_PROBS_LENGTH, TOKENS
from server import EmbeddedServer, EmbeddedServerError, ServerOptions, free_ports

READY_TIMEOUT_S = 300.0
WARMUP_ROUNDS = 2
REQUEST_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Load:
    """``in_flight`` clients send ``requests`` utterances of ``seconds`` between them."""

    seconds: float
    in_flight: int
    requests: int


@dataclass(frozen=True)
class Served:
    """What came of a load; ``encoder_batch`` is the mean number of utterances in its batches."""

    model: str
    load: Load
    wall_s: float
    rtfx: float
    encoder_batch: float


def serve(
    repository: Path, model: str, sample_rate_hz: int, loads: list[Load], *, gpu: bool
) -> list[Served]:
    """Serve ``model`` and put each load on it.

    Raises :class:`ModelError` when it cannot be served or a request fails.
    """
    options = ServerOptions(
        repository, models=(model,), gpu=gpu, ready_timeout_s=READY_TIMEOUT_S, **free_ports()
    )
    try:
        with (
            EmbeddedServer(options) as server,
            closing(InferenceServerClient(server.grpc_url)) as client,
        ):
            return [_measure(client, model, sample_rate_hz, load) for load in loads]
    except (EmbeddedServerError, InferenceServerException) as error:
        raise ModelError(f"{model} could not be served: {error}") from error


def _measure(client: InferenceServerClient, model: str, rate_hz: int, load: Load) -> Served:
    audio = noise(round(load.seconds * rate_hz))[np.newaxis]
    with ThreadPoolExecutor(load.in_flight) as pool:
        warmup = [audio] * (WARMUP_ROUNDS * load.in_flight)
        list(pool.map(lambda signal: _infer(client, model, signal), warmup))
        before = _counts(client, f"{model}_encoder")
        start_s = perf_counter()
        list(pool.map(lambda signal: _infer(client, model, signal), [audio] * load.requests))
        wall_s = perf_counter() - start_s
    utterances, executions = (
        after - earlier
        for after, earlier in zip(_counts(client, f"{model}_encoder"), before, strict=True)
    )
    return Served(
        model=model,
        load=load,
        wall_s=wall_s,
        rtfx=load.seconds * load.requests / wall_s,
        encoder_batch=utterances / executions,
    )


def _infer(client: InferenceServerClient, model: str, audio: Array) -> None:
    """One greedy request, ``audio`` int16 [1, N]."""
    signal = InferInput(AUDIO_SIGNAL, list(audio.shape), "INT16")
    signal.set_data_from_numpy(audio)
    wanted = [InferRequestedOutput(name) for name in (TOKENS, LOG_PROBS_LENGTH)]
    client.infer(model, [signal], outputs=wanted, client_timeout=REQUEST_TIMEOUT_S)


def _counts(client: InferenceServerClient, model: str) -> tuple[int, int]:
    entry = client.get_inference_statistics(model).model_stats[0]
    return entry.inference_count, entry.execution_count
