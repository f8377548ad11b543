"""Access control: TLS on gRPC, and a key for Triton's administrative protocols.

Triton has TLS for gRPC alone. With TLS, HTTP and metrics listen on this machine only, regardless
of gRPC's address. The key's value comes from a file or the environment. Triton receives it on its
command line, where every user of this machine can read it in the process table.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server.errors import OptionsError

ADMINISTRATION: Final = ("model-repository", "shared-memory", "trace", "logging")
"""Protocols for administrators. Health, metadata, configuration, statistics and inference stay
open: clients and probes need them."""
INFERENCE: Final = "inference"
SOURCES: Final = "env:VARIABLE or file:PATH"
_NAME: Final = re.compile(r"[0-9a-z_.-]+")  # gRPC's rule for metadata keys


@dataclass(frozen=True)
class RestrictedKey:
    """A key's name, and the value that opens the restricted protocols.

    HTTP expects the value in a header of the key's name, gRPC in ``triton-grpc-protocol-<name>``.
    Raises ``OptionsError``, which never shows the value, for what cannot be sent in a header.
    """

    name: str
    value: str = field(repr=False)
    inference_too: bool = False

    def __post_init__(self) -> None:
        """Reject what no client could send, and what Triton's command line would split."""
        if not _NAME.fullmatch(self.name):
            raise OptionsError(
                f"restricted key {self.name!r}: expected a name of lower case letters, digits, "
                "'_', '.' and '-'"
            )
        if not (self.value and self.value.isascii() and self.value.isprintable()):
            raise OptionsError(
                f"restricted key {self.name}: expected a value of printable ASCII characters"
            )

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP header that carries the key."""
        return {self.name: self.value}

    def arguments(self) -> list[str]:
        """The arguments of ``tritonserver``."""
        protocols = [*ADMINISTRATION, *([INFERENCE] if self.inference_too else [])]
        rule = f"{','.join(protocols)}:{self.name}={self.value}"
        return [f"--grpc-restricted-protocol={rule}", f"--http-restricted-api={rule}"]


@dataclass(frozen=True)
class Tls:
    """PEM files of the server's certificate and key; with ``client_ca`` clients need one too.

    Raises ``OptionsError`` for files that cannot be read: Triton would start without gRPC.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        """Reject files that Triton could not read."""
        for path in filter(None, (self.certificate, self.key, self.client_ca)):
            if not (path.is_file() and os.access(path, os.R_OK)):
                raise OptionsError(f"expected a PEM file at {path}, found none that can be read")

    def arguments(self) -> list[str]:
        """The arguments of ``tritonserver``."""
        arguments = [
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={self.certificate.resolve()}",
            f"--grpc-server-key={self.key.resolve()}",
        ]
        if self.client_ca is not None:
            arguments += [
                "--grpc-use-ssl-mutual=true",
                f"--grpc-root-cert={self.client_ca.resolve()}",
            ]
        return arguments


def read_restricted_key(text: str, *, inference_too: bool = False) -> RestrictedKey:
    """The key of ``NAME=env:VARIABLE`` or ``NAME=file:PATH``.

    Raises ``OptionsError``, which never shows what may be the secret.
    """
    name, _, source = text.partition("=")
    kind, _, place = source.partition(":")
    if kind not in ("env", "file") or not place:
        raise OptionsError(f"--restricted-key: expected NAME={SOURCES}, not the value itself")
    if kind == "env":
        return RestrictedKey(name, os.environ.get(place, "").strip(), inference_too)
    try:
        value = Path(place).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise OptionsError(f"--restricted-key: cannot read {place}: {reason}") from error
    return RestrictedKey(name, value, inference_too)
