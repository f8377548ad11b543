"""Why a server cannot be talked to: gRPC says UNAVAILABLE for all of it.

Name → address → TCP, through the environment's proxy where there is one → TLS, as far as it is
asked for → HTTP/2. The first that fails is the reason, and has a fix of its own.
"""

import socket
import ssl
from contextlib import suppress
from typing import Final

from ..errors import SecurityError, ServerError, ServerUnavailable
from .connection import ConnectionOptions
from .proxy import Proxy, ProxyError, server_address

_HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_EMPTY_SETTINGS: Final = b"\0\0\0\4\0\0\0\0\0"  # RFC 9113, 4.1: length, type 4, flags, stream
_SETTINGS_TYPE: Final = 4
_FRAME_HEADER_BYTES: Final = 9
_CERTIFICATE_WANTED: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "CERTIFICATE_UNKNOWN")


def connection_problem(
    url: str, options: ConnectionOptions, timeout_s: float
) -> ServerError | None:
    """What keeps a gRPC connection from coming about; ``None`` where nothing does.

    Only ``host:port`` and ``dns:///host:port`` are looked at. Every step may take ``timeout_s``.
    """
    address = server_address(url)
    if address is None:
        return None
    proxy = Proxy.of(url)
    problem = _problem(url, address, proxy, options, timeout_s)
    if problem is None or proxy is None:
        return problem
    return type(problem)(f"{problem}; {proxy.advice(url)}")


def _problem(
    url: str,
    address: tuple[str, int],
    proxy: Proxy | None,
    options: ConnectionOptions,
    timeout_s: float,
) -> ServerError | None:
    try:
        connected = _dial(address, proxy, timeout_s)
    except ProxyError as error:
        return ServerUnavailable(f"the server at {url} cannot be reached, its proxy {error}")
    except OSError as error:
        return _unreachable(url, error)
    with connected:
        if options.tls:
            return _problem_with_tls(url, connected, address[0], options)
        if _speaks_http2(connected):
            return None
    with suppress(OSError), _dial(address, proxy, timeout_s) as connected:
        return _problem_without_tls(url, connected, address[0])
    return _no_grpc(url)


def _dial(address: tuple[str, int], proxy: Proxy | None, timeout_s: float) -> socket.socket:
    if proxy is not None:
        return proxy.connect(address, timeout_s)
    return socket.create_connection(address, timeout_s)


def _unreachable(url: str, error: OSError) -> ServerUnavailable:
    if isinstance(error, socket.gaierror):
        reason = "its name is not known"
        fix = "give HOST:PORT alone" if "://" in url else "check the host's name"
    elif isinstance(error, ConnectionRefusedError):
        reason = "nothing listens there"
        fix = "check host and gRPC port (8001), or start a server with `make serve`"
    elif isinstance(error, TimeoutError):
        reason, fix = "no answer to connecting", "check host, port and firewalls in between"
    else:
        reason = str(error.strerror or error)
        fix = "check host and gRPC port (8001), or start a server with `make serve`"
    return ServerUnavailable(f"the server at {url} cannot be reached, {reason}: {fix}")


def _problem_without_tls(url: str, connected: socket.socket, host: str) -> ServerError:
    """Why it speaks no HTTP/2, on a new TCP connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _encrypted(context, connected, host).close()
    except ssl.SSLError as error:
        encrypted = any(wanted in str(error) for wanted in _CERTIFICATE_WANTED)
    else:
        encrypted = True
    if encrypted:
        return SecurityError(
            f"the server at {url} speaks TLS, and was spoken to without: turn TLS on (--tls, "
            "with --tls-ca for an authority of your own)"
        )
    return _no_grpc(url)


def _no_grpc(url: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"what listens at {url} speaks no gRPC: check the port, Triton's gRPC is on 8001 and HTTP "
        "on 8000"
    )


def _problem_with_tls(
    url: str, connected: socket.socket, host: str, options: ConnectionOptions
) -> ServerError | None:
    """What is wrong on top of a TCP connection."""
    try:
        context = _context(options)
    except OSError as error:
        return _unusable_files(error)
    try:
        with _encrypted(context, connected, host) as encrypted:
            if _speaks_http2(encrypted):
                return None
    except OSError as error:
        return _failed_handshake(url, error, options)
    # A server that wants a certificate says so only after a handshake that has gone well.
    if options.certificate is None:
        return _certificate_wanted(url, options)
    return ServerUnavailable(f"what listens at {url} speaks TLS and no gRPC: check the port")


def _encrypted(context: ssl.SSLContext, connected: socket.socket, host: str) -> ssl.SSLSocket:
    """TLS over a TCP connection; raises ``OSError``.

    ``wrap_socket`` does not close a socket whose other side has already hung up.
    """
    try:
        connected.getpeername()
    except OSError as error:
        raise ConnectionResetError(error.errno, error.strerror) from error
    return context.wrap_socket(connected, server_hostname=host)


def _unusable_files(error: OSError) -> SecurityError:
    reason = getattr(error, "reason", None) or error.strerror
    return SecurityError(
        "--tls-ca, --tls-certificate, --tls-key: no PEM certificates, or key and certificate do "
        f"not belong together ({reason}): give those that do"
    )


def _failed_handshake(url: str, error: OSError, options: ConnectionOptions) -> ServerError:
    if isinstance(error, (ConnectionError, TimeoutError, ssl.SSLEOFError)):
        return ServerUnavailable(
            f"what listens at {url} hangs up or is silent where TLS begins: it may still be "
            "starting; otherwise check the port"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return SecurityError(
            f"the certificate of the server at {url} is not trusted ({error.verify_message}): give "
            "the authority that signed it (--tls-ca), and the host as the certificate names it"
        )
    said = getattr(error, "reason", None) or error.strerror or type(error).__name__
    if any(wanted in str(said) for wanted in _CERTIFICATE_WANTED):
        return _certificate_wanted(url, options)
    return SecurityError(
        f"the TLS handshake with the server at {url} failed ({said}): it may speak without TLS;"
        " leave out --tls, or check the port"
    )


def _context(options: ConnectionOptions) -> ssl.SSLContext:
    """As gRPC would do it; raises ``OSError`` for files that are no certificates."""
    context = ssl.create_default_context(cafile=options.ca)
    context.set_alpn_protocols(["h2"])
    if options.certificate is not None:
        context.load_cert_chain(options.certificate, options.key)
    return context


def _certificate_wanted(url: str, options: ConnectionOptions) -> SecurityError:
    if options.certificate is None:
        return SecurityError(
            f"the server at {url} wants a certificate from its clients, and got none: give one with"
            " its key (--tls-certificate, --tls-key)"
        )
    return SecurityError(
        f"the server at {url} does not accept the certificate {options.certificate}: give one that "
        "is signed by an authority that the server trusts"
    )


def _speaks_http2(connected: socket.socket) -> bool:
    """Whether the other side greets as HTTP/2 does. Raises ``ssl.SSLError`` when TLS fails."""
    try:
        connected.sendall(_HTTP2_PREFACE + _EMPTY_SETTINGS)
        greeting = connected.recv(_FRAME_HEADER_BYTES)
    except ssl.SSLError:
        raise
    except OSError:
        return False
    return len(greeting) == _FRAME_HEADER_BYTES and greeting[3] == _SETTINGS_TYPE
