"""Free TCP ports, for servers that must not disturb others."""

import random
import socket
from contextlib import ExitStack, suppress
from typing import Final, TypedDict

_FIRST: Final = 10_000
_END: Final = 32_768
"""Where Linux's ephemeral ports begin by default: a program that binds port 0, or connects, gets
one of those, and may get the very one that was free a moment ago."""


class Ports(TypedDict):
    """One TCP port for each service, named as the fields of ``ServerOptions``."""

    grpc_port: int
    http_port: int
    metrics_port: int


def free_ports() -> Ports:
    """Three different ports of 127.0.0.1 that are free now; nothing reserves them."""
    with ExitStack() as stack:
        grpc, http, metrics = (_free_port(stack) for _ in range(3))
        return Ports(grpc_port=grpc, http_port=http, metrics_port=metrics)


def _free_port(stack: ExitStack) -> int:
    """A port that is bound until ``stack`` closes."""
    while True:
        port = random.randrange(_FIRST, _END)  # noqa: S311  # no secret
        with suppress(OSError):  # in use
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return port
