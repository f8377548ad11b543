"""One gRPC connection to a Triton server: how it is secured, and its errors as ours.

gRPC statuses become typed errors by their code, in ``_typed_error`` and nowhere else. A name
that resolves to several addresses is balanced by gRPC itself, one request after the other.

In a forked process gRPC may wait for ever, whatever the deadline: its own support of forks can be
turned off, and does nothing when a request is under way. So the first connection there is tried.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakSet

import grpc
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from ..errors import (
    DeadlineExceeded,
    ForkError,
    InvalidRequest,
    ModelNotReady,
    SecurityError,
    ServerError,
    ServerFailed,
    ServerUnavailable,
)
from ..utils.forks import never_freed
from ..utils.shortened import shortened
from ..utils.utf8 import holds
from .proxy import Proxy, is_here, without_dns

RESTRICTED_HEADER: Final = "triton-grpc-protocol-"
"""Triton's: what follows is the name of the key that a restricted protocol wants."""

NOT_LOADED: Final = ("not loaded", "unloaded")
"""Why a model is not ready that did not fail: ours where Triton gives no reason, and its own."""

_READY: Final = "READY"
_FAILED: Final = ("INTERNAL", "UNKNOWN", "ABORTED", "DATA_LOSS", "CANCELLED")
_REFUSED: Final = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_CHANNEL: Final = (
    # Triton's own limit, both ways: 2 GiB.
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.lb_policy_name", "round_robin"),
    # A server that has come back is found within seconds; gRPC's default grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # how long connecting may take, despite its name
    ("grpc.keepalive_timeout_ms", 10_000),
)
_MOST_PORT: Final = 65_535
_LEAST_KEEPALIVE_S: Final = 20.0
_MOST_KEEPALIVE_S: Final = 3600.0
_PINGS: Final = 3
"""More than these in a row, without an answer in between, a server takes for abuse: it hangs up."""

_CLOSE_S: Final = 5.0
_TRIAL_S: Final = 1.0
_TRIAL_SLACK_S: Final = 2.0
"""What a busy machine may take to notice that the time is over."""

Done: TypeAlias = Callable[[Any, ServerError | None], None]
"""Called once, on a thread of gRPC's, with tritonclient's result or an error."""


class Call(Protocol):
    """A request under way."""

    def cancel(self) -> None:
        """End it; it fails."""


@dataclass(frozen=True)
class ConnectionOptions:
    """What a server may want before it talks to us.

    ``tls`` without ``ca`` trusts the authorities that gRPC brings along. ``certificate`` and
    ``key`` are the client's own, for servers that ask for one. All three are PEM files.
    ``headers`` go with every call; their values are secrets and are never shown.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what does not go together."""
        if not self.tls and (self.ca or self.certificate or self.key):
            raise ValueError("certificates are for TLS, which is off: turn it on, or leave them")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client's certificate and its key go together: give both or none")


@dataclass(frozen=True)
class Request:
    """What one call of a model asks: its input, and the outputs that are wanted.

    Only this ``version`` of the model may answer.
    """

    model: str
    version: int
    audio: InferInput
    outputs: Sequence[InferRequestedOutput]


class Connection:
    """One channel, for requests that may take ``patience_s``.

    A connection that carries nothing any more is noticed although no answer is due: the server is
    pinged. Raises ``SecurityError`` when a certificate's file cannot be read, and
    ``ServerError`` for an address that cannot be; of a port, gRPC would make another one.
    Raises ``ForkError`` in a forked process where gRPC does not work.
    """

    def __init__(self, url: str, options: ConnectionOptions, patience_s: float = 0.0) -> None:
        _check_address(url)
        self.url = url
        self.options = options
        self._headers = dict(options.headers)
        credentials = _credentials(options)
        keepalive_s = min(_MOST_KEEPALIVE_S, max(_LEAST_KEEPALIVE_S, patience_s / _PINGS))
        channel = [*_CHANNEL, ("grpc.keepalive_time_ms", round(1000 * keepalive_s))]
        if is_here(url):
            channel.append(("grpc.enable_http_proxy", 0))
        self._client = InferenceServerClient(url, creds=credentials, channel_args=channel)
        _connections.add(self)
        _try_after_fork(self)

    def infer(self, request: Request, timeout_s: float, done: Done) -> Call:
        """Send a request; ``done`` is called with what becomes of it."""

        def answered(result: Any, error: InferenceServerException | None) -> None:
            if error is None:
                done(result, None)
            else:
                typed = _typed_error(error, self.url, request.model, timeout_s)
                typed.__cause__ = error
                done(None, typed)

        with self._errors(request.model, timeout_s):
            call: Call = self._client.async_infer(
                request.model,
                [request.audio],
                answered,
                model_version=str(request.version),
                outputs=list(request.outputs),
                client_timeout=timeout_s,
                headers=self._headers,
            )
        return call

    def is_live(self, timeout_s: float) -> bool:
        """Whether the server says so; raises a ``ServerError`` when it does not answer."""
        with self._errors("", timeout_s):
            return bool(self._client.is_server_live(self._headers, timeout_s))

    def is_ready(self, model: str, version: int, timeout_s: float) -> bool:
        """Whether the model takes requests; raises a ``ServerError`` without an answer."""
        with self._errors(model, timeout_s):
            return bool(self._client.is_model_ready(model, str(version), self._headers, timeout_s))

    def config(self, model: str, timeout_s: float) -> Any:
        """The model's ``ModelConfig``; raises a ``ServerError``."""
        with self._errors(model, timeout_s):
            reply = self._client.get_model_config(
                model, headers=self._headers, client_timeout=timeout_s
            )
        return reply.config

    def problems(self, timeout_s: float) -> dict[str, str]:
        """Why each model that the server knows is not ready; an empty text if one version is.

        Raises a ``ServerError``.
        """
        with self._errors("", timeout_s):
            index = self._client.get_model_repository_index(
                headers=self._headers, client_timeout=timeout_s
            )
        ready = {entry.name for entry in index.models if entry.state == _READY}
        return {
            entry.name: "" if entry.name in ready else entry.reason or NOT_LOADED[0]
            for entry in index.models
        }

    def ask_for_nothing(self, model: str, version: int, timeout_s: float) -> None:
        """Ask for an inference without input, which costs the server nothing and it does not count.

        Raises ``InvalidRequest`` where inference is open, ``ModelNotReady`` without that
        version of the model, and another ``ServerError`` otherwise.
        """
        with self._errors(model, timeout_s):
            self._client.infer(
                model, [], str(version), headers=self._headers, client_timeout=timeout_s
            )

    def close(self) -> None:
        """Hang up; what is still under way fails.

        gRPC waits for every call to end, for ever for one whose start an interrupt cut short.
        """
        closing = Thread(target=self._client.close, name="hang up", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    @contextmanager
    def _errors(self, model: str, timeout_s: float) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise _typed_error(error, self.url, model, timeout_s) from error
        except ValueError as error:  # gRPC's, for a channel that is closed
            raise ServerError(f"the connection to {self.url} is closed ({error})") from error


def _check_address(url: str) -> None:
    if not holds(url):
        raise ServerError(f"the address {url!r} is no text in UTF-8, expected HOST:PORT")
    _, colon, port = without_dns(url).rpartition(":")
    host_alone = not colon or url.endswith("]") or "/" in port
    if host_alone or url.startswith("unix:"):
        return
    is_number = port.isascii() and port.isdecimal() and len(port) <= len(str(_MOST_PORT))
    if not (is_number and 0 < int(port) <= _MOST_PORT):
        raise ServerError(
            f"the address {shortened(url)} has the port {shortened(port)!r}, expected HOST:PORT "
            f"with 1 to {_MOST_PORT}: gRPC is on 8001 usually"
        )


_connections: WeakSet[Connection] = WeakSet()
_forked = False
"""Whether the parent had connections, and this process has not tried whether gRPC works in it."""


def _after_fork() -> None:
    """In the child: the parent's connections are not to be touched, even when they are freed."""
    global _forked  # noqa: PLW0603 -- a fact about the process
    for connection in _connections:
        never_freed(connection._client)  # noqa: SLF001
        _forked = True


os.register_at_fork(after_in_child=_after_fork)


def _try_after_fork(connection: Connection) -> None:
    """Raise ``ForkError`` where gRPC does not even say that there is no answer."""
    global _forked  # noqa: PLW0603 -- a fact about the process
    if not _forked:
        return

    def ask() -> None:
        with suppress(ServerError):
            connection.is_live(_TRIAL_S)

    trial = Thread(target=ask, name="fork trial", daemon=True)
    trial.start()
    trial.join(_TRIAL_S + _TRIAL_SLACK_S)
    if trial.is_alive():
        never_freed(connection._client)  # noqa: SLF001 -- closing it would wait too
        raise ForkError(
            f"gRPC does not work in process {os.getpid()}, which was forked from one that had a "
            'connection: start processes with multiprocessing\'s "spawn", or fork before the '
            "first Transcriber is made"
        )
    _forked = False


def _credentials(options: ConnectionOptions) -> grpc.ChannelCredentials | None:
    if not options.tls:
        return None
    return grpc.ssl_channel_credentials(*map(_pem, (options.ca, options.key, options.certificate)))


def _pem(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise SecurityError(
            f"{path}: cannot be read ({error.strerror}), expected a PEM file: correct the path, or "
            "let this user read it"
        ) from error


def _typed_error(
    error: InferenceServerException, url: str, model: str, timeout_s: float
) -> ServerError:
    """Tritonclient's one exception as ours, by gRPC status code."""
    code = str(error.status()).removeprefix("StatusCode.")
    said = error.message()
    if code == "UNAVAILABLE":
        proxy = Proxy.of(url)
        return ServerUnavailable(
            f"the server at {url} is not reachable or overloaded ({said}): check host and gRPC "
            "port (8001, not HTTP's 8000), or start one with `make serve`"
            + (f"; {proxy.advice(url)}" if proxy else "")
        )
    if code == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(
            f"the server at {url} did not answer within {timeout_s:.3g} s: allow more time, or "
            "send fewer requests at once"
        )
    if code == "NOT_FOUND":
        return ModelNotReady(f"the server at {url} has no model {model!r} ({said})")
    if code == "INVALID_ARGUMENT":
        return InvalidRequest(
            f"the server at {url} refuses the request to {model!r} ({said}): its graph and its "
            "contract differ, export the model again"
        )
    if code in _REFUSED:
        return SecurityError(
            f"the server at {url} rejected our credentials ({said}): send a token or key that it "
            "knows, as a header"
        )
    kind = ServerFailed if code in _FAILED else ServerError
    return kind(f"the server at {url} failed with {code} ({said}): look at the server's log")
