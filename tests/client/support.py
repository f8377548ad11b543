"""What the client's tests share: a contract, a language model, recordings, and a scripted server.

The scripted server speaks Triton's real gRPC service; it answers what a healthy server does not.
"""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle

import grpc
import numpy as np
import soundfile
from tritonclient.grpc import service_pb2, service_pb2_grpc

from client.wire.contract import (
    LOG_PROBS,
    LOG_PROBS_LENGTH,
    TOKENS,
    TOP_LOG_PROBS,
    TOP_TOKENS,
    Contract,
)

CONTRACT = Contract(
    version=1,
    audio_type="INT16",
    sample_rate_hz=16000,
    min_samples=320,
    max_samples=32000,
    feature_stride_s=0.01,
    frame_stride_s=0.02,
    vocabulary=tuple(" abcdefghijklmnopqrstuvwxyz'"),
    vocabulary_kind="char",
    blank=28,
    checkpoint="test",
    checkpoint_sha256="0" * 64,
    precision="fp32",
    exporter_version="0.1.0",
)

PIECES = replace(
    CONTRACT,
    vocabulary=("<unk>", "▁ca", "▁co", "t", "s", "▁"),
    vocabulary_kind="sentencepiece",
    blank=6,
)

# "dog" has no back-off weight, as in the files that some tools write.
ARPA = """\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-1.0\t<unk>
0\t<s>\t-0.3
-1.0\t</s>
-0.5\tcat\t-0.3
-0.9\tcot\t-0.3
-2.0\tdog

\\2-grams:
-0.1\t<s> cat
-1.5\t<s> cot
-0.1\tcat </s>

\\end\\
"""


def encoded(samples: np.ndarray, rate_hz: int = 16000, kind: str = "WAV", **more: str) -> bytes:
    """A recording as the bytes of a file."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, format=kind, **more)
    return stream.getvalue()


def tokens_of(text: str) -> np.ndarray:
    """Frames that collapse to ``text``: every character, then a blank."""
    tokens = [(CONTRACT.vocabulary.index(letter), CONTRACT.blank) for letter in text]
    return np.array(tokens, np.int32).reshape(-1)  # [2 * len(text)]


def peaky(tokens: np.ndarray, n_tokens: int) -> np.ndarray:
    """Log-probabilities that leave no doubt about ``tokens``, ``float32 [S, V]``."""
    rest = 1e-3 / (n_tokens - 1)
    log_probs = np.full((len(tokens), n_tokens), np.log(rest), np.float32)
    log_probs[np.arange(len(tokens)), tokens] = np.log(1 - 1e-3)
    return log_probs


def best_of(log_probs: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """``top_tokens`` and ``top_log_probs``, ``[S, K]``, as an exported model makes them."""
    blank = log_probs.shape[1] - 1
    tokens = np.argsort(-log_probs, axis=1, kind="stable")[:, :k].astype(np.int32)
    tokens[~(tokens == blank).any(axis=1), -1] = blank
    return tokens, np.take_along_axis(log_probs, tokens, axis=1)


def scored_reply(
    log_probs: np.ndarray, request: service_pb2.ModelInferRequest, k: int = 16, padding: int = 2
) -> service_pb2.ModelInferResponse:
    """The outputs that ``request`` asks for of an utterance with these ``log_probs [S, V]``."""
    frames = np.vstack([log_probs, np.zeros((padding, log_probs.shape[1]), np.float32)])
    tokens, values = best_of(frames, k)
    outputs = {
        LOG_PROBS: ("FP32", frames[None]),
        TOP_TOKENS: ("INT32", tokens[None]),
        TOP_LOG_PROBS: ("FP32", values[None]),
        LOG_PROBS_LENGTH: ("INT64", np.array([[len(log_probs)]], np.int64)),
    }
    reply = service_pb2.ModelInferResponse(model_name="demo")
    for name in sorted(output.name for output in request.outputs):
        datatype, value = outputs[name]
        reply.outputs.add(name=name, datatype=datatype, shape=value.shape)
        reply.raw_output_contents.append(value.tobytes())
    return reply


def infer_reply(text: str = "cat", length: int | None = None) -> service_pb2.ModelInferResponse:
    """What a model answers for an utterance of ``text``, two frames longer than its own."""
    tokens = np.append(tokens_of(text), [CONTRACT.blank] * 2).astype(np.int32)
    reply = service_pb2.ModelInferResponse(model_name="demo")
    reply.outputs.add(name=TOKENS, datatype="INT32", shape=[1, len(tokens)])
    reply.raw_output_contents.append(tokens.tobytes())
    reply.outputs.add(name=LOG_PROBS_LENGTH, datatype="INT64", shape=[1, 1])
    own = len(tokens) - 2 if length is None else length
    reply.raw_output_contents.append(np.array([own], np.int64).tobytes())
    log_probs = peaky(tokens, CONTRACT.blank + 1)
    reply.outputs.add(name=LOG_PROBS, datatype="FP32", shape=[1, *log_probs.shape])
    reply.raw_output_contents.append(log_probs.tobytes())
    return reply


Infer = Callable[[service_pb2.ModelInferRequest, grpc.ServicerContext], object]


class _Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(
        self, infer: Infer, contract_json: str, model: str, unloaded: str, reason: str, version: str
    ) -> None:
        self._infer = infer
        self._version = version
        self._contract_json = contract_json
        self._model = model
        self._unloaded = unloaded
        self._reason = reason

    def ModelConfig(self, request, context):  # noqa: N802
        if request.name == self._unloaded:
            context.abort(grpc.StatusCode.UNAVAILABLE, "has no available versions")
        if request.name != self._model:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        reply = service_pb2.ModelConfigResponse()
        reply.config.name = request.name
        if self._contract_json:
            reply.config.parameters["contract"].string_value = self._contract_json
        return reply

    def RepositoryIndex(self, request, context):  # noqa: N802, ARG002
        reply = service_pb2.RepositoryIndexResponse()
        reply.models.add(name=self._model, version="1", state="READY")
        reply.models.add(name=self._unloaded, state="UNAVAILABLE", reason=self._reason)
        return reply

    def ModelInfer(self, request, context):  # noqa: N802
        if self._version and request.model_version not in {"", self._version}:
            context.abort(grpc.StatusCode.NOT_FOUND, "Request for unknown model version")
        if not request.inputs:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "expected 1 inputs but got 0")
        return self._infer(request, context)


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = cycle(range(20_000 + 500 * WORKER, 20_500 + 500 * WORKER))
"""Each worker's own, below those that the system hands out: a test frees one and takes it again."""


def _bind(server: grpc.Server, port: int) -> int:
    """Bind to ``port``, or to the next that is free."""
    while True:
        try:
            return server.add_insecure_port(f"127.0.0.1:{port or next(_PORTS)}")
        except RuntimeError:
            if port:
                raise


@contextmanager
def scripted_server(
    infer: Infer = lambda *_: infer_reply(),
    contract_json: str = CONTRACT.to_json(),
    port: int = 0,
    model: str = "demo",
    reason: str = "weights are missing",
    version: str = "",
) -> Iterator[str]:
    """Serve ``model``, and ``broken``, not loaded for a ``reason``; gives ``host:port``.

    Any version of the model, or only the one given.
    """
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    service = _Service(infer, contract_json, model, "broken", reason, version)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    port = _bind(server, port)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()
