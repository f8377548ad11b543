"""The wire: one utterance's samples to a Triton server over gRPC, one tensor of the model back.

Flow: samples ``int16 [N]`` → checked against the contract → ``async_infer`` with a deadline →
callback → ``Future`` of ``tokens [S]`` or ``log_probs [S, V]``, trimmed by the length that the
model itself returns. gRPC statuses become typed errors by their code, in :func:`_typed_error`.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import (
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
)
from tritonclient.utils import InferenceServerException

from client.audio import Pcm
from client.contract import AUDIO_SIGNAL, CONTRACT_PARAMETER, LOG_PROBS_LENGTH, Contract
from client.errors import (
    AsrError,
    AudioError,
    ContractError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotReady,
    ServerError,
    ServerUnavailable,
)

_READY: Final = "READY"


@dataclass(frozen=True)
class Exchange:
    """One answered request, as it crossed the wire. Times are :func:`time.perf_counter`'s."""

    sent_s: float
    replied_s: float
    request_bytes: int
    """The audio's, without gRPC's own few."""
    reply_bytes: int
    """Of the whole message."""
    frames: int
    """The utterance's own S."""
    batch_frames: int
    """S of the batch that it was computed in, padding included."""


Observer: TypeAlias = Callable[[Exchange], None]
"""Called on a thread of gRPC's: it must be quick, and not raise."""


@dataclass(frozen=True)
class TransportOptions:
    """How long to wait for the server, and how much to ask at once."""

    timeout_s: float = 60.0
    """Deadline of one request, from submission to reply: queueing and computing included."""
    connect_timeout_s: float = 10.0
    """Deadline of each call made while connecting."""
    max_in_flight: int = 16
    """Requests under way at once."""
    observer: Observer | None = None
    """Is told of every answered request."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when nothing could be under way."""
        if self.max_in_flight < 1:
            raise ValueError(f"max_in_flight is {self.max_in_flight}, expected at least 1")


class Transport(Protocol):
    """Sends utterances to one model and brings its outputs back."""

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""

    def submit(self, samples: Pcm, output: str) -> Future[NDArray[Any]]:
        """Send one utterance, ``int16 [N]``; the future holds tensor ``output``, ``[S, ...]``."""

    def close(self) -> None:
        """Hang up; what is still under way fails."""


class TritonTransport:
    """A connection to one model of a Triton server.

    Connecting reads the model's contract. Raises :class:`ServerUnavailable`,
    :class:`DeadlineExceeded`, :class:`ModelNotReady` or :class:`ContractError`.
    """

    def __init__(self, url: str, model: str, options: TransportOptions | None = None) -> None:
        self._url = url
        self._model = model
        self._options = options or TransportOptions()
        # Message sizes are limited by tritonclient's default alone: 2 GiB, both ways.
        self._client = InferenceServerClient(url)
        try:
            self._contract = self._read_contract()
        except AsrError:
            self.close()
            raise

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._contract

    def submit(self, samples: Pcm, output: str) -> Future[NDArray[Any]]:
        """Send one utterance, ``int16 [N]``, and ask for tensor ``output``.

        The future holds ``[S]`` or ``[S, V]``, or raises a :class:`ServerError`, at the latest
        after the deadline. Raises :class:`AudioError` when the utterance is shorter or longer
        than the model takes.
        """
        _check_length(samples, self._contract)
        audio = InferInput(AUDIO_SIGNAL, [1, len(samples)], self._contract.audio_type)
        audio.set_data_from_numpy(samples[np.newaxis])  # [1, N]
        request = _Request(output, samples.nbytes, perf_counter())
        with _server_errors(self._url, self._model, self._options.timeout_s):
            self._client.async_infer(
                self._contract.model_for(self._model, len(samples)),
                [audio],
                partial(self._resolve, request),
                outputs=[InferRequestedOutput(output), InferRequestedOutput(LOG_PROBS_LENGTH)],
                client_timeout=self._options.timeout_s,
            )
        return request.future

    def close(self) -> None:
        """Hang up; what is still under way fails."""
        self._client.close()

    def _resolve(
        self, request: "_Request", result: Any, error: InferenceServerException | None
    ) -> None:
        """Called once on a gRPC thread, with either a result or an error."""
        replied_s = perf_counter()
        try:
            with _server_errors(self._url, self._model, self._options.timeout_s):
                frames, own = _frames(result, error, request.output)
            if self._options.observer is not None:
                self._options.observer(
                    Exchange(
                        sent_s=request.sent_s,
                        replied_s=replied_s,
                        request_bytes=request.audio_bytes,
                        reply_bytes=result.get_response().ByteSize(),
                        frames=own,
                        batch_frames=len(frames),
                    )
                )
            request.future.set_result(frames[:own])
        except Exception as failure:  # noqa: BLE001 -- lost here, its caller would wait for ever
            request.future.set_exception(failure)

    def _read_contract(self) -> Contract:
        timeout_s = self._options.connect_timeout_s
        try:
            with _server_errors(self._url, self._model, timeout_s):
                config = self._client.get_model_config(self._model, client_timeout=timeout_s)
        except (ModelNotReady, ServerUnavailable) as error:
            # Triton also answers UNAVAILABLE for a model that it knows and has not loaded: a
            # server that can list its models is there.
            with _server_errors(self._url, self._model, timeout_s):
                problems = _model_problems(self._client, timeout_s)
            raise _not_ready(self._url, self._model, problems) from error
        contract = _contract_of(config.config, self._url)
        with _server_errors(self._url, self._model, timeout_s):
            # A server can be told which models to load: what has no route left takes the main one.
            ready = tuple(
                route
                for route in contract.routes
                if self._client.is_model_ready(route.model, client_timeout=timeout_s)
            )
        return replace(contract, routes=ready)


@dataclass(frozen=True)
class _Request:
    """A request under way, and where its answer goes."""

    output: str
    audio_bytes: int
    sent_s: float
    future: Future[NDArray[Any]] = field(default_factory=Future)


@dataclass(frozen=True)
class ServedModel:
    """A model as the server lists it; ``problem`` says why there is no ``contract``."""

    name: str
    ready: bool
    contract: Contract | None = None
    problem: str = ""


def list_models(url: str, options: TransportOptions | None = None) -> list[ServedModel]:
    """The server's models that carry a contract, and those not loaded, which cannot tell.

    Raises :class:`ServerUnavailable` or :class:`DeadlineExceeded`.
    """
    timeout_s = (options or TransportOptions()).connect_timeout_s
    client = InferenceServerClient(url)
    try:
        with _server_errors(url, "", timeout_s):
            problems = _model_problems(client, timeout_s)
            configs = [
                client.get_model_config(name, client_timeout=timeout_s).config
                for name, problem in problems.items()
                if not problem
            ]
    finally:
        client.close()
    models = [
        ServedModel(name, ready=False, problem=problem)
        for name, problem in problems.items()
        if problem
    ]
    models += [
        _served_model(config, url) for config in configs if CONTRACT_PARAMETER in config.parameters
    ]
    return sorted(models, key=lambda model: model.name)


def _served_model(config: Any, url: str) -> ServedModel:
    try:
        return ServedModel(config.name, ready=True, contract=_contract_of(config, url))
    except ContractError as error:
        return ServedModel(config.name, ready=True, problem=str(error))


def _model_problems(client: InferenceServerClient, timeout_s: float) -> dict[str, str]:
    """Why each model that the server knows is not ready; an empty text if one version is."""
    index = client.get_model_repository_index(client_timeout=timeout_s)
    ready = {entry.name for entry in index.models if entry.state == _READY}
    return {
        entry.name: "" if entry.name in ready else entry.reason or "not loaded"
        for entry in index.models
    }


def _not_ready(url: str, model: str, problems: Mapping[str, str]) -> ModelNotReady:
    if model in problems:
        reason = problems[model] or "it has become so just now"
        return ModelNotReady(
            f"the server at {url} knows model {model!r}, but it is not ready ({reason}): see the "
            "server's log, or start the server again if the model was exported since"
        )
    return ModelNotReady(
        f"the server at {url} has no model {model!r}; it has "
        f"{', '.join(sorted(problems)) or 'none'}: check the name, or export the model into the "
        "server's repository"
    )


def _contract_of(config: Any, url: str) -> Contract:
    if CONTRACT_PARAMETER not in config.parameters:
        raise ContractError(
            f"model {config.name!r} carries no contract: it is a step of another model, or was not"
            f" exported by this project. `python -m client models --url {url}` lists those that do"
        )
    return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)


def _check_length(samples: Pcm, contract: Contract) -> None:
    rate_hz = contract.sample_rate_hz
    length = f"{len(samples) / rate_hz:.3f} s ({len(samples)} samples)"
    if len(samples) < contract.min_samples:
        raise AudioError(
            f"too short: {length}, the model takes at least "
            f"{contract.min_samples / rate_hz:.3f} s: leave it out or join it with its neighbour"
        )
    if len(samples) > contract.max_samples:
        raise AudioError(
            f"too long: {length}, the model takes at most "
            f"{contract.max_samples / rate_hz:.1f} s: cut it at pauses"
        )


def _frames(
    result: Any, error: InferenceServerException | None, output: str
) -> tuple[NDArray[Any], int]:
    """The one utterance of the reply, padded to its batch's S, and how many frames are its own."""
    if error is not None:
        raise error
    try:
        frames = result.as_numpy(output)  # [1, S of the batch, ...]
        length = result.as_numpy(LOG_PROBS_LENGTH)  # [1, 1]
    except ValueError as malformed:
        raise ServerError(f"the reply is malformed: {malformed}") from malformed
    if frames is None or length is None:
        raise ServerError(
            f"the reply lacks {output!r} or {LOG_PROBS_LENGTH!r}: "
            "export the model again with this version of the project"
        )
    if frames.shape[:1] != (1,) or frames.ndim < 2 or length.shape != (1, 1):
        raise ServerError(
            f"the reply's shapes are {frames.shape} and {length.shape}, expected one utterance, "
            "[1, frames, …] and [1, 1]: export the model again with this version of the project"
        )
    if not 0 <= length[0, 0] <= frames.shape[1]:
        raise ServerError(
            f"the reply has {frames.shape[1]} frames and says that {length[0, 0]} are the "
            "utterance's: export the model again"
        )
    return frames[0], int(length[0, 0])  # [S of the batch, ...]


@contextmanager
def _server_errors(url: str, model: str, timeout_s: float) -> Iterator[None]:
    """Make tritonclient's one exception ours, by gRPC status code."""
    try:
        yield
    except InferenceServerException as error:
        raise _typed_error(error, url, model, timeout_s) from error


def _typed_error(
    error: InferenceServerException, url: str, model: str, timeout_s: float
) -> ServerError:
    code = str(error.status()).removeprefix("StatusCode.")
    said = error.message()
    if code == "UNAVAILABLE":
        return ServerUnavailable(
            f"the server at {url} is not reachable or overloaded ({said}): check host and gRPC "
            "port (8001, not HTTP's 8000), or start one with `make serve`"
        )
    if code == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(
            f"the server at {url} did not answer within {timeout_s:g} s: allow more time, or send "
            "fewer requests at once"
        )
    if code == "NOT_FOUND":
        return ModelNotReady(f"the server at {url} has no model {model!r} ({said})")
    if code == "INVALID_ARGUMENT":
        return InvalidRequest(
            f"the server at {url} refuses the request to {model!r} ({said}): its graph and its "
            "contract differ, export the model again"
        )
    return ServerError(f"the server at {url} failed with {code} ({said}): look at the server's log")
