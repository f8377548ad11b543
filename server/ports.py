"""Free TCP ports, for servers that must not disturb others."""

import socket
from contextlib import ExitStack
from typing import TypedDict


class Ports(TypedDict):
    """One TCP port for each service, named as the fields of ``ServerOptions``."""

    grpc_port: int
    http_port: int
    metrics_port: int


def free_ports() -> Ports:
    """Three different ports of 127.0.0.1 that are free now; nothing reserves them."""
    with ExitStack() as stack:
        grpc, http, metrics = (
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(3)
        )
        return Ports(grpc_port=grpc, http_port=http, metrics_port=metrics)
