"""The wire: one utterance's samples to a Triton server over gRPC, one tensor of the model back.

Flow: samples ``int16 [N]`` → checked against the contract → a server is chosen → sent with a
deadline → ``Future`` of ``tokens [S]`` or ``log_probs [S, V]``, trimmed by the length that the
model itself returns. A request that fails is sent again as ``wire.failure_policy`` says, and
``wire.servers`` chooses where; its deadline covers all of it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput

from ..audio import Pcm
from ..errors import AudioError, DeadlineExceeded, ServerError, ServerFailed
from ..utils.forks import OwnerProcess
from .connection import Connection, ConnectionOptions, Request
from .contract import AUDIO_SIGNAL, LOG_PROBS_LENGTH, Contract
from .failure_policy import MAY_PASS, FailurePolicy
from .models import read_contract
from .servers import Server, Servers
from .timer import Timer


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
    """How long to wait for the server, how much to ask at once, and what to do when it fails."""

    timeout_s: float = 60.0
    """Deadline of one request, from submission to reply: queueing and further tries included."""
    connect_timeout_s: float = 10.0
    """Deadline of each call made while connecting."""
    wait_s: float = 0.0
    """How long connecting waits for a server, or the model on it, that is still starting.

    What waiting does not mend is raised at once: credentials, an unknown model, one that failed to
    load. After the time the last error is raised."""
    max_in_flight: int = 16
    """Requests under way at once."""
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    failures: FailurePolicy = field(default_factory=FailurePolicy)
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
    """A connection to one model on a Triton server, or on several that serve the same.

    ``url`` is ``host:port``, of one server or of each. Connecting reads the model's contract.
    Raises ``ServerUnavailable``, ``DeadlineExceeded``, ``ModelNotReady``,
    ``SecurityError`` or ``ContractError``; of several servers one has to be there, and
    those that are must agree.
    """

    def __init__(
        self, url: str | Sequence[str], model: str, options: TransportOptions | None = None
    ) -> None:
        self._owner = OwnerProcess("this connection")
        self._model = model
        self._options = options or TransportOptions()
        self._timer = Timer()
        self._requests = count()
        self._closed = False
        urls = [url] if isinstance(url, str) else list(dict.fromkeys(url))
        self._servers = Servers(
            _connections(urls, self._options),
            partial(read_contract, model=model, timeout_s=self._options.connect_timeout_s),
            self._options.failures,
            self._timer,
            self._options.wait_s,
        )

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._servers.contract

    def submit(self, samples: Pcm, output: str) -> Future[NDArray[Any]]:
        """Send one utterance, ``int16 [N]``, and ask for tensor ``output``.

        The future holds ``[S]`` or ``[S, V]``, or raises a ``ServerError``, at the latest
        after the deadline, or ``ContractError`` where another model came to be served. Raises
        ``AudioError`` when the utterance is shorter or longer than the model takes, and
        ``ForkError`` in a forked child.
        """
        self._owner.check()
        number = next(self._requests)
        _check_length(samples, self.contract)
        audio = InferInput(AUDIO_SIGNAL, [1, len(samples)], self.contract.audio_type)
        audio.set_data_from_numpy(samples[np.newaxis])  # [1, N]
        outputs = [InferRequestedOutput(output), InferRequestedOutput(LOG_PROBS_LENGTH)]
        deadline_s = perf_counter() + self._options.timeout_s
        sending = _Sending(number, audio, outputs, len(samples), samples.nbytes, deadline_s)
        # From here on the future is ours alone: who waits for it cannot cancel it.
        sending.future.set_running_or_notify_cancel()
        self._try(sending)
        return sending.future

    def close(self) -> None:
        """Hang up; what is still under way fails. Does nothing in a forked child."""
        if not self._owner.is_here:
            return
        self._closed = True
        self._servers.close()
        self._timer.close()

    def _try(self, sending: "_Sending") -> None:
        """Send it once more; whatever goes wrong is in its future in the end."""
        sending.tries += 1
        try:
            try:
                server = self._servers.take()
            except MAY_PASS as error:
                self._again(sending, error)
            else:
                self._send(sending, server)
        except Exception as failure:  # noqa: BLE001 -- lost here, its caller would wait for ever
            sending.future.set_exception(failure)

    def _send(self, sending: "_Sending", server: Server) -> None:
        contract = server.contract or self.contract
        model = contract.model_for(self._model, sending.n_samples)
        request = Request(model, contract.model_version, sending.audio, sending.outputs)
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
        self._servers.give_back(server, error)
        try:
            if error is not None:
                self._again(sending, error)
                return
            frames, own = _frames(result, sending.outputs[0].name())
            if self._options.observer is not None:
                reply_bytes = result.get_response().ByteSize()
                sizes = (sending.audio_bytes, reply_bytes, own, len(frames))
                self._options.observer(Exchange(sending.number, sent_s, replied_s, *sizes))
            sending.future.set_result(frames[:own])
        except Exception as failure:  # noqa: BLE001 -- lost here, its caller would wait for ever
            sending.future.set_exception(failure)

    def _again(self, sending: "_Sending", error: ServerError) -> None:
        """Try again later, or give up. Raises the error that it is given up with."""
        left_s = sending.deadline_s - perf_counter()
        sending.failures += isinstance(error, ServerFailed)
        wait_s = self._options.failures.wait_s(error, sending.tries, sending.failures, left_s)
        if self._closed or wait_s is None:
            raise self._last_word(sending, error)
        self._timer.after(wait_s, partial(self._try, sending))

    def _last_word(self, sending: "_Sending", error: ServerError) -> ServerError:
        """The error with what was tried."""
        if isinstance(error, DeadlineExceeded):
            said = f"no answer within {self._options.timeout_s:g} s"
            tried = f" in {sending.tries} tries" if sending.tries > 1 else ""
            final: ServerError = DeadlineExceeded(
                f"{said}{tried}: allow more time, or send fewer requests at once"
            )
        elif sending.tries > 1:
            final = type(error)(f"{error} (tried {sending.tries} times)")
        else:
            return error
        final.__cause__ = error.__cause__
        return final


def _connections(urls: Iterable[str], options: TransportOptions) -> list[Connection]:
    """One to each server; none is left open where one cannot be made."""
    with ExitStack() as made:
        connections = [
            made.enter_context(closing(Connection(url, options.connection, options.timeout_s)))
            for url in urls
        ]
        made.pop_all()
    return connections


@dataclass(eq=False)
class _Sending:
    """A request under way, and where its answer goes."""

    number: int
    audio: InferInput
    outputs: Sequence[InferRequestedOutput]
    n_samples: int
    audio_bytes: int
    deadline_s: float
    tries: int = 0
    failures: int = 0
    """Of the tries, those that ended with ``ServerFailed``."""
    future: Future[NDArray[Any]] = field(default_factory=Future)


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


def _frames(result: Any, output: str) -> tuple[NDArray[Any], int]:
    """The one utterance of the reply, padded to its batch's S, and how many frames are its own."""
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
