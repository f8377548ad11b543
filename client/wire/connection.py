"""One gRPC connection to a Triton server: how it is secured, and its errors as ours.

gRPC statuses become typed errors by their code, in ``_typed_error`` and nowhere else. A name
that resolves to several addresses is balanced by gRPC itself, one request after the other.

In a forked process gRPC may block for ever, whatever the deadline: its own support of forks can be
turned off, and does nothing while a request is in flight. So the first connection there is tested.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final, TypeAlias
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
from .proxy import Proxy, is_loopback, without_dns

RESTRICTED_HEADER: Final = "triton-grpc-protocol-"
"""Triton's prefix of the header that a restricted protocol requires; the key's name follows."""

NOT_LOADED: Final = ("not loaded", "unloaded")
"""Reasons of a model that is not ready and did not fail: ours where Triton gives none, and its."""

URL: Final = ("Transcriber.url",)
HEADERS: Final = ("ConnectionOptions.headers",)
LOAD: Final = ("TransportOptions.timeout_s", "TransportOptions.max_in_flight")
"""Options that mend several errors."""

_READY: Final = "READY"
_FAILED: Final = ("INTERNAL", "UNKNOWN", "ABORTED", "DATA_LOSS", "CANCELLED")
_REJECTED: Final = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_CHANNEL: Final = (
    # Triton's own limit, both ways: 2 GiB.
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.lb_policy_name", "round_robin"),
    # Reconnects within seconds after a restart; gRPC's default backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # the time to connect, despite its name
    ("grpc.keepalive_timeout_ms", 10_000),
)
_MOST_PORT: Final = 65_535
_LEAST_KEEPALIVE_S: Final = 20.0
_MOST_KEEPALIVE_S: Final = 3600.0
_PINGS: Final = 3
"""A server closes the connection after more pings than these without a reply in between."""

_CLOSE_S: Final = 5.0
_PROBE_S: Final = 1.0
_PROBE_SLACK_S: Final = 2.0
"""How late a busy machine may notice that the time is over."""

Done: TypeAlias = Callable[[Any, ServerError | None], None]
"""Called once, on a thread of gRPC's, with tritonclient's result or an error."""


@dataclass(frozen=True)
class ConnectionOptions:
    """How to secure a connection and authenticate to the server.

    ``tls`` without ``ca`` trusts the authorities that gRPC ships. ``certificate`` and ``key`` are
    the client's own, for servers that require one. All three are PEM files. ``headers`` are sent
    with every call; their values are secrets and are never shown.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for options that contradict each other."""
        if not self.tls and (self.ca or self.certificate or self.key):
            raise ValueError("certificates need TLS, which is off: set tls, or leave them out")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client's certificate needs its key: give both or neither")


@dataclass(frozen=True)
class Request:
    """One inference request: its input and the outputs to return.

    Only this ``version`` of the model may answer.
    """

    model: str
    version: int
    audio: InferInput
    outputs: Sequence[InferRequestedOutput]


class Connection:
    """One channel, for requests with a timeout of ``timeout_s``.

    Pings detect a dead connection while a reply is pending. Raises ``SecurityError`` when a
    certificate's file cannot be read, ``ServerError`` for an invalid address (gRPC would take
    a port modulo 65,536), and ``ForkError`` in a forked process where gRPC does not work.
    """

    def __init__(self, url: str, options: ConnectionOptions, timeout_s: float = 0.0) -> None:
        _check_address(url)
        self.url = url
        self.options = options
        self._headers = dict(options.headers)
        credentials = _credentials(options)
        keepalive_s = min(_MOST_KEEPALIVE_S, max(_LEAST_KEEPALIVE_S, timeout_s / _PINGS))
        channel = [*_CHANNEL, ("grpc.keepalive_time_ms", round(1000 * keepalive_s))]
        if is_loopback(url):
            channel.append(("grpc.enable_http_proxy", 0))
        self._client = InferenceServerClient(url, creds=credentials, channel_args=channel)
        _connections.add(self)
        _test_after_fork(self)

    def infer(self, request: Request, timeout_s: float, done: Done) -> None:
        """Send a request; ``done`` is called with its result or error."""

        def answered(result: Any, error: InferenceServerException | None) -> None:
            if error is None:
                done(result, None)
            else:
                typed = _typed_error(error, self.url, request.model, timeout_s)
                typed.__cause__ = error
                done(None, typed)

        with self._errors(request.model, timeout_s):
            self._client.async_infer(
                request.model,
                [request.audio],
                answered,
                model_version=str(request.version),
                outputs=list(request.outputs),
                client_timeout=timeout_s,
                headers=self._headers,
            )

    def is_live(self, timeout_s: float) -> bool:
        """Whether the server reports itself live; raises a ``ServerError`` without an answer."""
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
        """Why each model in the server's repository is not ready; empty if a version of it is.

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

    def probe_inference(self, model: str, version: int, timeout_s: float) -> None:
        """Send an inference request without input: the server rejects it at no cost, uncounted.

        Raises ``InvalidRequest`` where inference is permitted, ``ModelNotReady`` without that
        version of the model, and another ``ServerError`` otherwise.
        """
        with self._errors(model, timeout_s):
            self._client.infer(
                model, [], str(version), headers=self._headers, client_timeout=timeout_s
            )

    def close(self) -> None:
        """Close the channel; requests in flight fail.

        gRPC waits for every call to end, and for ever if an interrupt hit its start.
        """
        closing = Thread(target=self._client.close, name="close channel", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    @contextmanager
    def _errors(self, model: str, timeout_s: float) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            typed = _typed_error(error, self.url, model, timeout_s)
            if isinstance(typed, DeadlineExceeded):  # calls of connecting have a limit of their own
                message = (
                    f"the server at {self.url} did not answer within {timeout_s:.3g} s: look at "
                    "its log, or allow more time"
                )
                typed = typed.amended(message=message, options=())
            raise typed from error
        except ValueError as error:  # gRPC's, for a channel that is closed
            raise ServerError(
                f"the connection to {self.url} is closed ({error})", url=self.url, model=model
            ) from error


def _check_address(url: str) -> None:
    if not holds(url):
        raise ServerError(f"the address {url!r} is not valid UTF-8, expected HOST:PORT", url=url)
    _, colon, port = without_dns(url).rpartition(":")
    host_alone = not colon or url.endswith("]") or "/" in port
    if host_alone or url.startswith("unix:"):
        return
    is_number = port.isascii() and port.isdecimal() and len(port) <= len(str(_MOST_PORT))
    if not (is_number and 0 < int(port) <= _MOST_PORT):
        raise ServerError(
            f"the address {shortened(url)} has the port {shortened(port)!r}, expected HOST:PORT "
            f"with 1 to {_MOST_PORT}: Triton's gRPC port is usually 8001",
            url=url,
        )


_connections: WeakSet[Connection] = WeakSet()
_forked = False
"""Whether the parent had connections, and gRPC has not been tested in this process."""


def _after_fork() -> None:
    """In the child: never touch the parent's connections, not even to free them."""
    global _forked  # noqa: PLW0603 -- a fact about the process
    for connection in _connections:
        never_freed(connection._client)  # noqa: SLF001
        _forked = True


os.register_at_fork(after_in_child=_after_fork)


def _test_after_fork(connection: Connection) -> None:
    """Raise ``ForkError`` where a gRPC call does not even time out."""
    global _forked  # noqa: PLW0603 -- a fact about the process
    if not _forked:
        return

    def probe() -> None:
        with suppress(ServerError):
            connection.is_live(_PROBE_S)

    testing = Thread(target=probe, name="fork test", daemon=True)
    testing.start()
    testing.join(_PROBE_S + _PROBE_SLACK_S)
    if testing.is_alive():
        never_freed(connection._client)  # noqa: SLF001 -- closing it would block too
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
            "give this user read access"
        ) from error


def _typed_error(
    error: InferenceServerException, url: str, model: str, timeout_s: float
) -> ServerError:
    """Tritonclient's one exception as ours, by gRPC status code."""
    code = str(error.status() or "").removeprefix("StatusCode.")
    said = error.message()
    kind: type[ServerError] = ServerFailed if code in _FAILED else ServerError
    failed = f"failed with {code or 'no gRPC status'} ({said})"
    message = f"the server at {url} {failed}: look at the server's log"
    options: tuple[str, ...] = ()
    if code == "UNAVAILABLE":
        proxy = Proxy.of(url)
        kind, options = ServerUnavailable, URL
        message = (
            f"the server at {url} is not reachable or overloaded ({said}): check host and gRPC "
            "port (8001, not HTTP's 8000), or start a server"
        ) + (f"; {proxy.advice(url)}" if proxy else "")
    elif code == "DEADLINE_EXCEEDED":
        kind, options = DeadlineExceeded, LOAD
        message = (
            f"the server at {url} did not answer within {timeout_s:.3g} s: allow more time, or "
            "send fewer requests at once"
        )
    elif code == "NOT_FOUND":
        kind, message = ModelNotReady, f"the server at {url} has no model {model!r} ({said})"
    elif code == "INVALID_ARGUMENT":
        kind = InvalidRequest
        message = (
            f"the server at {url} rejects the request to {model!r} ({said}): its graph and its "
            "contract differ, export the model again"
        )
    elif code in _REJECTED:
        kind, options = SecurityError, HEADERS
        message = (
            f"the server at {url} rejected our credentials ({said}): send a token or key that it "
            "accepts as a header"
        )
    return kind(
        message, options=options, url=url, model=model, grpc_status=code, deadline_s=timeout_s
    )
