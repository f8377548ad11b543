"""The wire: one utterance's samples to a Triton server over gRPC, one tensor of the model back.

Flow: samples ``int16 [N]`` → checked against the contract → a server is chosen → sent with a
deadline → ``Future`` of ``tokens [S]``, ``log_probs [S, V]`` or the best tokens of each frame
(``wire.top_tokens``), trimmed by the length that the model itself returns. Where best tokens are
too few, the utterance is sent once more for its ``log_probs``. A request that fails is retried as
``wire.failure_policy`` decides, on a server that ``wire.servers`` chooses; its deadline covers all.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput

from ..audio import Pcm
from ..errors import AudioError, DeadlineExceeded, ServerError, ServerFailed
from ..utils.forks import OwnerProcess
from .connection import Connection, ConnectionOptions, Request
from .contract import (
    AUDIO_SIGNAL,
    LOG_PROBS,
    LOG_PROBS_LENGTH,
    TOP_LOG_PROBS,
    TOP_TOKENS,
    Contract,
)
from .failure_policy import TRANSIENT, FailurePolicy
from .models import read_contract
from .servers import Server, Servers
from .timer import Timer
from .top_tokens import BestTokens, Output, is_complete, pack

_TOO_FEW: Final = 8
"""Replies in a row with too few best tokens, after which ``log_probs`` are asked for at once: the
threshold is low, and the server would compute every utterance twice."""


@dataclass(frozen=True)
class Exchange:
    """One answered request, as it crossed the wire. Times are ``time.perf_counter``'s."""

    request: int
    """Which of the transport's requests: the calls of ``submit``, from 0."""
    sent_s: float
    """When the try that was answered was sent."""
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
    """Deadlines, the number of requests in flight, and what to do about failures."""

    timeout_s: float = 60.0
    """Deadline of one request, from submission to reply: queue time and retries included."""
    connect_timeout_s: float = 10.0
    """Deadline of each call made while connecting."""
    wait_s: float = 0.0
    """How long connecting waits for a server, or the model on it, that is still starting.

    Errors that waiting does not mend are raised at once: credentials, an unknown model, one that
    failed to load. After the time the last error is raised."""
    max_in_flight: int = 16
    """Requests in flight at once."""
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    failures: FailurePolicy = field(default_factory=FailurePolicy)
    observer: Observer | None = None
    """Is told of every answered request, and twice of one whose best tokens were too few."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when no request could be in flight."""
        if self.max_in_flight < 1:
            raise ValueError(f"max_in_flight is {self.max_in_flight}, expected at least 1")


class Transport(Protocol):
    """Sends utterances to one model and brings its outputs back."""

    @property
    def contract(self) -> Contract:
        """The model's contract."""

    def submit(self, samples: Pcm, output: Output) -> Future[NDArray[Any]]:
        """Send one utterance, ``int16 [N]``; the future holds ``output``, ``[S, ...]``."""

    def close(self) -> None:
        """Close the connections; requests in flight fail."""


class TritonTransport:
    """A connection to one model on a Triton server, or on several that serve the same.

    ``url`` is ``host:port``, of one server or of each. Connecting reads the model's contract.
    Raises ``ServerUnavailable``, ``DeadlineExceeded``, ``ModelNotReady``, ``SecurityError`` or
    ``ContractError``; of several servers at least one must be ready, and those that are must serve
    the same export.
    """

    def __init__(
        self, url: str | Sequence[str], model: str, options: TransportOptions | None = None
    ) -> None:
        self._owner = OwnerProcess("this connection")
        self._model = model
        self._options = options or TransportOptions()
        self._timer = Timer()
        self._requests = count()
        self._too_few = 0
        self._closed = False
        urls = [url] if isinstance(url, str) else list(dict.fromkeys(url))
        self._servers = Servers(
            _connections(urls, self._options),
            self._read_contract,
            self._options.failures,
            self._timer,
            self._options.wait_s,
            model=model,
        )

    @property
    def contract(self) -> Contract:
        """The model's contract."""
        return self._servers.contract

    def submit(self, samples: Pcm, output: Output) -> Future[NDArray[Any]]:
        """Send one utterance, ``int16 [N]``, and ask for ``output``.

        The future holds the tensor, ``[S]`` or ``[S, V]``; for ``BestTokens`` those, ``[S, K]``,
        or ``log_probs``, asked for in a second exchange. It raises a ``ServerError``, at the latest
        after the deadline, or ``ContractError`` if all servers now serve another model. Raises
        ``AudioError`` when the utterance is shorter or longer than the model takes, and
        ``ForkError`` in a forked child.
        """
        self._owner.check()
        number = next(self._requests)
        _check_length(samples, self.contract)
        audio = InferInput(AUDIO_SIGNAL, [1, len(samples)], self.contract.audio_type)
        audio.set_data_from_numpy(samples[np.newaxis])  # [1, N]
        if self._too_few >= _TOO_FEW and isinstance(output, BestTokens):
            output = LOG_PROBS
        deadline_s = perf_counter() + self._options.timeout_s
        sending = _Sending(number, audio, output, len(samples), samples.nbytes, deadline_s)
        # The future is running: whoever waits for it cannot cancel it.
        sending.future.set_running_or_notify_cancel()
        self._try(sending)
        return sending.future

    def close(self) -> None:
        """Close the connections; requests in flight fail. Does nothing in a forked child."""
        if not self._owner.is_here:
            return
        self._closed = True
        self._servers.close()
        self._timer.close()

    def _read_contract(self, connection: Connection) -> Contract:
        try:
            return read_contract(connection, self._model, self._options.connect_timeout_s)
        except DeadlineExceeded as error:
            message = f"{error.message} (TransportOptions.connect_timeout_s)"
            raise error.amended(message=message) from error.__cause__

    def _try(self, sending: "_Sending") -> None:
        """Send the request; any error ends up in its future."""
        sending.tries += 1
        try:
            try:
                server = self._servers.acquire()
            except TRANSIENT as error:
                self._retry(sending, error)
            else:
                self._send(sending, server)
        except Exception as failure:  # noqa: BLE001 -- otherwise its caller would wait for ever
            sending.future.set_exception(failure)

    def _send(self, sending: "_Sending", server: Server) -> None:
        contract = server.contract or self.contract
        model = contract.model_for(self._model, sending.n_samples)
        outputs = [InferRequestedOutput(name) for name in (*sending.tensors, LOG_PROBS_LENGTH)]
        request = Request(model, contract.model_version, sending.audio, outputs)
        sent_s = perf_counter()
        left_s = max(0.001, sending.deadline_s - sent_s)
        done = partial(self._answered, sending, server, sent_s)
        try:
            server.connection.infer(request, left_s, done)
        except ServerError as error:
            done(None, error)

    def _answered(
        self,
        sending: "_Sending",
        server: Server,
        sent_s: float,
        result: Any,
        error: ServerError | None,
    ) -> None:
        """Called once for each try, with either a result or an error."""
        replied_s = perf_counter()
        self._servers.release(server, error)
        try:
            if error is not None:
                self._retry(sending, error)
                return
            frames, own = _frames(result, sending.tensors)
            if self._options.observer is not None:
                reply_bytes = result.get_response().ByteSize()
                sizes = (sending.audio_bytes, reply_bytes, own, len(frames))
                self._options.observer(Exchange(sending.number, sent_s, replied_s, *sizes))
            if self._enough(sending.output, frames[:own]):
                sending.future.set_result(frames[:own])
            else:
                sending.output = LOG_PROBS
                sending.tries = sending.failures = 0
                self._try(sending)
        except ServerError as failure:
            told = failure.amended(
                url=server.connection.url,
                model=self._model,
                tries=sending.tries,
                deadline_s=self._options.timeout_s,
            )
            sending.future.set_exception(told)
        except Exception as failure:  # noqa: BLE001 -- otherwise its caller would wait for ever
            sending.future.set_exception(failure)

    def _enough(self, output: Output, frames: NDArray[Any]) -> bool:
        """Whether ``frames`` need not be followed by all ``log_probs``."""
        if not isinstance(output, BestTokens):
            return True
        complete = is_complete(frames, output.blank, output.token_min_logp)
        # Threads may lose a count to each other: it only decides how soon.
        self._too_few = 0 if complete else self._too_few + 1
        return complete

    def _retry(self, sending: "_Sending", error: ServerError) -> None:
        """Retry after the backoff, or raise the final error."""
        left_s = sending.deadline_s - perf_counter()
        sending.failures += isinstance(error, ServerFailed)
        policy = self._options.failures
        backoff_s = policy.backoff_s(error, sending.tries, sending.failures, left_s)
        if self._closed or backoff_s is None:
            raise self._final(sending, error)
        self._timer.after(backoff_s, partial(self._try, sending))

    def _final(self, sending: "_Sending", error: ServerError) -> ServerError:
        """The error with what was tried."""
        message, tries, deadline_s = error.message, sending.tries, self._options.timeout_s
        if isinstance(error, DeadlineExceeded):
            tried = f" in {tries} tries" if tries > 1 else ""
            message = (
                f"the server at {error.url} did not answer within {deadline_s:g} s{tried}: allow "
                "more time, or send fewer requests at once"
            )
        elif tries > 1:
            message += f" (tried {tries} times)"
        return error.amended(message=message, model=self._model, tries=tries, deadline_s=deadline_s)


def _connections(urls: Iterable[str], options: TransportOptions) -> list[Connection]:
    """A connection to each server; all are closed if one cannot be made."""
    with ExitStack() as made:
        connections = [
            made.enter_context(closing(Connection(url, options.connection, options.timeout_s)))
            for url in urls
        ]
        made.pop_all()
    return connections


@dataclass(eq=False)
class _Sending:
    """A request, and the future of its reply."""

    number: int
    audio: InferInput
    output: Output
    n_samples: int
    audio_bytes: int
    deadline_s: float
    tries: int = 0
    failures: int = 0
    """Of the tries, those that ended with ``ServerFailed``."""
    future: Future[NDArray[Any]] = field(default_factory=Future)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that make up the output."""
        return (self.output,) if isinstance(self.output, str) else (TOP_TOKENS, TOP_LOG_PROBS)


def _check_length(samples: Pcm, contract: Contract) -> None:
    rate_hz = contract.sample_rate_hz
    length = f"{len(samples) / rate_hz:.3f} s ({len(samples)} samples)"
    if len(samples) < contract.min_samples:
        raise AudioError(
            f"too short: {length}, the model takes at least "
            f"{contract.min_samples / rate_hz:.3f} s: leave it out or join it with the next one"
        )
    if len(samples) > contract.max_samples:
        raise AudioError(
            f"too long: {length}, the model takes at most "
            f"{contract.max_samples / rate_hz:.1f} s: cut it at pauses"
        )


def _frames(result: Any, tensors: Sequence[str]) -> tuple[NDArray[Any], int]:
    """The reply's one utterance, padded to its batch's S, and the number of its own frames."""
    try:
        parts = [result.as_numpy(name) for name in tensors]  # [1, S of the batch, ...] each
        length = result.as_numpy(LOG_PROBS_LENGTH)  # [1, 1]
    except ValueError as malformed:
        raise ServerError(f"the reply is malformed: {malformed}") from malformed
    if length is None or any(part is None for part in parts):
        names = " or ".join(map(repr, (*tensors, LOG_PROBS_LENGTH)))
        raise ServerError(
            f"the reply lacks {names}: export the model again with this version of the project"
        )
    if len({part.shape for part in parts}) > 1:
        raise ServerError(
            f"the reply's shapes differ, {' and '.join(str(part.shape) for part in parts)}: export "
            "the model again with this version of the project"
        )
    frames = pack(*parts) if len(parts) > 1 else parts[0]
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
