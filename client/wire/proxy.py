"""The HTTP proxy of the environment that a gRPC connection goes through, if any.

gRPC uses ``grpc_proxy``, else ``https_proxy``, else ``http_proxy``: the first that is set, even if
it is empty; and ``no_grpc_proxy``, else ``no_proxy``. It reads only lower-case names, supports only
HTTP proxies, and matches no ``*`` in the lists: curl and ``requests`` may differ. gRPC would also
send connections to this machine through a proxy; ours are direct.
"""

import base64
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, Self
from urllib.parse import unquote, urlsplit

_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy")
_DNS: Final = re.compile(r"^dns:(//[^/]*/)?")
_DEFAULT_PORT: Final = 443  # gRPC's, of a proxy and of a server
_MOST_REPLY_BYTES: Final = 1 << 16


class ProxyError(OSError):
    """The proxy cannot be reached or opens no tunnel; the message completes "its proxy …"."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the environment ``variable`` that names it."""

    variable: str
    host: str
    port: int
    credentials: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self | None:
        """The proxy between this process and a server, by its gRPC address."""
        address = server_address(url)
        variable, named = _first_set(_PROXIES)
        try:
            proxy = urlsplit(named)
            port = proxy.port or _DEFAULT_PORT
        except ValueError:
            return None
        if address is None or proxy.scheme != "http" or not proxy.hostname:
            return None
        if is_loopback(url) or _is_excepted(address[0]):
            return None
        return cls(variable, proxy.hostname, port, proxy.netloc.rpartition("@")[0])

    def connect(self, address: tuple[str, int], timeout_s: float) -> socket.socket:
        """A connection to the server through the proxy; raises ``ProxyError``."""
        try:
            tunnel = socket.create_connection((self.host, self.port), timeout_s)
        except OSError as error:
            raise ProxyError(f"cannot be reached ({error.strerror or error})") from error
        try:
            tunnel.sendall(self._request(address))
            status = _status(tunnel)
        except BaseException as error:
            tunnel.close()
            if not isinstance(error, OSError):
                raise
            raise ProxyError("gives no answer") from error
        if status[1:2] != ["200"]:
            tunnel.close()
            raise ProxyError(f"answers {' '.join(status[1:]) or 'nothing'}")
        return tunnel

    def advice(self, url: str) -> str:
        """How to bypass it."""
        host = (server_address(url) or (url, 0))[0]
        return (
            f"the connection goes through the proxy {self.host}:{self.port} that the environment "
            f"variable {self.variable} names: add {host} to {_first_set(_EXCEPTIONS)[0]} (in lower "
            "case) to connect directly"
        )

    def _request(self, address: tuple[str, int]) -> bytes:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        lines = [f"CONNECT {host}:{address[1]} HTTP/1.1", f"Host: {host}:{address[1]}"]
        if self.credentials:
            encoded = base64.b64encode(unquote(self.credentials).encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {encoded}")
        return "\r\n".join([*lines, "", ""]).encode()


def server_address(url: str) -> tuple[str, int] | None:
    """Host and port of ``host:port`` or ``dns:…host:port``; ``None`` for other addresses."""
    name = without_dns(url)
    if ":///" in name or url.startswith(("unix:", "ipv4:", "ipv6:")):
        return None
    with suppress(ValueError):
        parts = urlsplit(f"//{name}")
        if parts.hostname:
            return parts.hostname, parts.port or _DEFAULT_PORT
    return None


def without_dns(url: str) -> str:
    """A gRPC address without its scheme ``dns:`` and the authority after it."""
    return _DNS.sub("", url)


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, which a proxy cannot reach."""
    host = (server_address(url) or ("", 0))[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excepted(host: str) -> bool:
    entries = (entry.strip().lower() for entry in _first_set(_EXCEPTIONS)[1].split(","))
    return any(_matches(host, entry) for entry in entries if entry)


def _matches(host: str, entry: str) -> bool:
    """As gRPC matches: a network, or a name that covers its subdomains."""
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return host == entry or host.endswith("." + entry.removeprefix("."))


def _first_set(variables: tuple[str, ...]) -> tuple[str, str]:
    """The first variable that is set and its value; else the last, and an empty value."""
    for variable in variables:
        if variable in os.environ:
            return variable, os.environ[variable]
    return variables[-1], ""


def _status(tunnel: socket.socket) -> list[str]:
    """The words of the status line; reads nothing beyond the proxy's own reply."""
    reply = b""
    while not reply.endswith(b"\r\n\r\n") and len(reply) < _MOST_REPLY_BYTES:
        if not (more := tunnel.recv(1)):
            break
        reply += more
    return reply.partition(b"\r\n")[0].decode("latin-1").split()
