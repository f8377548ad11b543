"""Arguments for the server: addresses, time to wait, TLS, and headers with secrets.

Secrets come from a file or from the environment, never from the command line, which other users of
a machine can read.
"""

import argparse
import os
import re
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from ..errors import SecurityError
from ..wire.connection import RESTRICTED_HEADER, ConnectionOptions
from ..wire.transport import TransportOptions
from .parser import positive, seconds, whole_number

DEFAULT_URL: Final = "localhost:8001"
_NAME: Final = re.compile(r"[0-9a-z_.-]+")  # gRPC's rule for metadata keys
_SOURCES: Final = "env:VARIABLE or file:PATH"


@dataclass(frozen=True)
class SecretSource:
    """A header's name, and the source of its value."""

    name: str
    kind: str
    place: str

    def read(self) -> str:
        """The value, without surrounding white space.

        Raises ``SecurityError``, which never shows the value, when there is none or gRPC cannot
        send it.
        """
        if self.kind == "env":
            value = os.environ.get(self.place, "").strip()
            where = f"the environment variable {self.place}"
        else:
            where = self.place
            try:
                value = Path(self.place).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeError) as error:
                raise SecurityError(
                    f"{where}: cannot be read, expected the value of header {self.name} "
                    f"({getattr(error, 'strerror', None) or 'no text'})"
                ) from error
        if not value or not (value.isascii() and value.isprintable()):
            raise SecurityError(
                f"{where} holds {'other than ASCII text' if value else 'nothing'}, expected the "
                f"value of header {self.name}"
            )
        return value


def add_server(parser: ArgumentParser) -> None:
    """The server's address and how to connect; ``connecting_options`` reads them."""
    group = parser.add_argument_group("server")
    add = group.add_argument
    text = (
        f"a server's gRPC address (default {DEFAULT_URL}); may be repeated for several that "
        "serve the same model. All addresses of a name are used"
    )
    add("--url", dest="urls", action="append", metavar="HOST:PORT", help=text)
    text = "seconds to wait for a server that is still starting (default %(default)g)"
    add("--wait", type=seconds, default=TransportOptions.wait_s, metavar="S", help=text)
    add("--tls", action="store_true", help="use TLS; the options below imply it")
    for name, text in (
        ("ca", "the authorities to trust, PEM (default: those that gRPC ships)"),
        ("certificate", "the client's certificate, PEM, for servers that require one"),
        ("key", "its key, PEM"),
    ):
        group.add_argument(f"--tls-{name}", type=Path, metavar="FILE", help=text)
    add = partial(add, dest="headers", action="append", default=[])
    text = f"sent with every call; its value comes from {_SOURCES}; may be repeated"
    add("--header", type=_secret_source, metavar="NAME=SOURCE", help=text)
    text = "the value for Triton's restricted protocols, likewise"
    add("--restricted-key", type=_restricted_source, metavar="KEY=SOURCE", help=text)


def add_requests(parser: ArgumentParser) -> None:
    """The number of requests and their deadline; ``transport_options`` reads them."""
    add, default = parser.add_argument_group("requests").add_argument, TransportOptions()
    text = "seconds for a request, queue time and retries included (default %(default)g)"
    add("--timeout", type=positive(float), default=default.timeout_s, metavar="S", help=text)
    text = "requests in flight at once (default %(default)s)"
    add("--in-flight", type=whole_number(1), default=default.max_in_flight, metavar="N", help=text)


def urls_of(args: Namespace) -> list[str]:
    """The addresses of the arguments."""
    return args.urls or [DEFAULT_URL]


def connection_options(args: Namespace) -> ConnectionOptions:
    """TLS and headers of the arguments; raises ``SecurityError`` for unusable secrets."""
    files = {"ca": args.tls_ca, "certificate": args.tls_certificate, "key": args.tls_key}
    headers = {source.name: source.read() for source in args.headers}
    try:
        return ConnectionOptions(args.tls or any(files.values()), **files, headers=headers)
    except ValueError as error:
        raise SecurityError(f"--tls-certificate, --tls-key: {error}") from error


def connecting_options(args: Namespace) -> TransportOptions:
    """How to connect to the servers of the arguments; raises as ``connection_options`` does."""
    return TransportOptions(wait_s=args.wait, connection=connection_options(args))


def transport_options(args: Namespace) -> TransportOptions:
    """How to talk to the servers of the arguments; raises as ``connection_options`` does."""
    return replace(connecting_options(args), timeout_s=args.timeout, max_in_flight=args.in_flight)


def _secret_source(text: str) -> SecretSource:
    name, _, source = text.partition("=")
    kind, _, place = source.partition(":")
    if not _NAME.fullmatch(name) or kind not in ("env", "file") or not place:
        # Never show the argument: it may be the secret itself.
        raise argparse.ArgumentTypeError(
            f"expected NAME={_SOURCES}, with a name in lower case: values are not given here"
        )
    return SecretSource(name, kind, place)


def _restricted_source(text: str) -> SecretSource:
    return _secret_source(f"{RESTRICTED_HEADER}{text}")
