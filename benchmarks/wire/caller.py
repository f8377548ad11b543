"""One request at a time in a given :class:`~benchmarks.wire.ways.Way`, as the client sends it.

Flow: samples int16 [N] → :meth:`Caller.prepare` → ``audio_signal`` of the way's type, [1, N] →
``async_infer`` → the outputs asked for, with their batch dimension.
"""

import secrets
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, shared_memory, triton_to_np_dtype
from tritonclient.utils.shared_memory import SharedMemoryRegion

from benchmarks.errors import LoadError
from benchmarks.wire.graphs import FULL_SCALE
from benchmarks.wire.variants import FLOAT, variant_name
from benchmarks.wire.ways import Way
from client.audio import Pcm
from client.wire.contract import AUDIO_SIGNAL, LOG_PROBS

_REGION_BYTES: Final = 8 << 20
"""Of each shared region: 60 s of the large vocabulary's ``log_probs``, and far more audio."""

_REPLY_TIMEOUT_S: Final = 60.0
_RELEASE_TIMEOUT_S: Final = 2.0
_RELEASE_POLL_S: Final = 0.01

Array = NDArray[Any]


@dataclass(frozen=True)
class _Region:
    """Memory of this process that the server maps under ``key``."""

    key: str
    handle: SharedMemoryRegion


class Caller:
    """Asks one model in one way; a context manager.

    Regions of shared memory are made and registered once, as a client with one request in flight
    would. Raises :class:`LoadError` when the server refuses.
    """

    def __init__(self, url: str, model: str, way: Way) -> None:
        self._way = way
        self._model = variant_name(model, way.variant)
        self._resources = ExitStack()
        self._client = self._resources.enter_context(closing(InferenceServerClient(url)))
        try:
            self._audio = self._region("audio") if way.shared_audio else None
            self._log_probs = self._region(LOG_PROBS) if way.shared_log_probs else None
        except BaseException:
            self.close()
            raise

    def prepare(self, samples: Pcm) -> Array:
        """Samples in the type that the way sends, [1, N]: a recording is read into either."""
        if self._way.variant == FLOAT:
            return (samples / np.float32(FULL_SCALE))[np.newaxis].astype(np.float32)
        return samples[np.newaxis]

    def call(self, audio: Array) -> dict[str, Array]:
        """Send prepared ``audio`` and wait; the outputs by name, ``log_probs`` as float32."""
        kind = "FP32" if audio.dtype == np.float32 else "INT16"
        signal = InferInput(AUDIO_SIGNAL, list(audio.shape), kind)
        if self._audio is None:
            signal.set_data_from_numpy(audio)
        else:
            shared_memory.set_shared_memory_region(self._audio.handle, [audio])
            signal.set_shared_memory(self._audio.key, audio.nbytes)
        outputs = [InferRequestedOutput(name) for name in self._way.outputs]
        for output in outputs:
            if self._log_probs is not None and output.name() == LOG_PROBS:
                output.set_shared_memory(self._log_probs.key, _REGION_BYTES)
        reply: Future[Any] = Future()
        self._client.async_infer(
            self._model,
            [signal],
            lambda result, error: (
                reply.set_result(result) if error is None else reply.set_exception(error)
            ),
            outputs=outputs,
            compression_algorithm=self._way.compression,
        )
        result = _answered(reply)
        return {name: self._tensor(result, name) for name in self._way.outputs}

    def close(self) -> None:
        """Hang up, and release shared memory."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _region(self, what: str) -> _Region:
        """A new region that the server knows under its own name."""
        key = f"wire_{what}_{secrets.token_hex(8)}"
        region = shared_memory.create_shared_memory_region(
            key, key, _REGION_BYTES, create_only=True
        )
        self._resources.callback(shared_memory.destroy_shared_memory_region, region)
        try:
            self._client.register_system_shared_memory(key, key, _REGION_BYTES)
        except InferenceServerException as error:
            raise LoadError(
                f"the server does not share memory ({error}): it must run on this machine, in the "
                "same container"
            ) from error
        self._resources.callback(self._release, key)
        return _Region(key, region)

    def _release(self, key: str) -> None:
        """The server uses a region for a moment after its reply, and refuses meanwhile."""
        deadline_s = monotonic() + _RELEASE_TIMEOUT_S
        while True:
            try:
                self._client.unregister_system_shared_memory(key)
            except InferenceServerException:
                if monotonic() > deadline_s:
                    raise
                sleep(_RELEASE_POLL_S)
            else:
                return

    def _tensor(self, result: Any, name: str) -> Array:
        if self._log_probs is None or name != LOG_PROBS:
            tensor: Array = result.as_numpy(name)
        else:
            described = result.get_output(name)
            kind = triton_to_np_dtype(described.datatype)
            view = shared_memory.get_contents_as_numpy(
                self._log_probs.handle, kind, described.shape
            )
            tensor = view.copy()  # the next reply is written over it
        return tensor.astype(np.float32, copy=False) if name == LOG_PROBS else tensor


def _answered(reply: Future[Any]) -> Any:
    try:
        return reply.result(_REPLY_TIMEOUT_S)
    except (InferenceServerException, TimeoutError) as error:
        raise LoadError(
            f"a single request failed: {error or 'no reply'}: see the server's log"
        ) from error
