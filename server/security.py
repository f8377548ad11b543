"""Who may do what: TLS on gRPC, and a key for Triton's administrative protocols.

Triton has TLS for gRPC alone. With it, HTTP and metrics listen on this machine only, whatever
address gRPC listens on. The key's value comes from a file or the environment. Triton itself takes
it on its command line, where every user of this machine can read it in the process table.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server.errors import OptionsError

ADMINISTRATION: Final = ("model-repository", "shared-memory", "trace", "logging")
"""What only an administrator needs. Health, metadata, configuration, statistics and inference stay
open: clients and probes live on them."""
INFERENCE: Final = "inference"
SOURCES: Final = "env:VARIABLE or file:PATH"
_NAME: Final = re.compile(r"[0-9a-z_.-]+")  # gRPC's rule for metadata keys


@dataclass(frozen=True)
class RestrictedKey:
    """A key's name, and the value that opens what is restricted.

    HTTP wants the value in a header of the key's name, gRPC in ``triton-grpc-protocol-<name>``.
    Raises :class:`OptionsError`, which never shows the value, for what cannot be sent in a header.
    """

    name: str
    value: str = field(repr=False)
    inference_too: bool = False

    def __post_init__(self) -> None:
        """Refuse what no client could send, and what Triton's command line would cut up."""
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
        """What opens HTTP."""
        return {self.name: self.value}

    def arguments(self) -> list[str]:
        """Of ``tritonserver``."""
        protocols = [*ADMINISTRATION, *([INFERENCE] if self.inference_too else [])]
        rule = f"{','.join(protocols)}:{self.name}={self.value}"
        return [f"--grpc-restricted-protocol={rule}", f"--http-restricted-api={rule}"]


@dataclass(frozen=True)
class Tls:
    """PEM files of the server's certificate and key; with ``client_ca`` clients need one too.

    Raises :class:`OptionsError` for files that cannot be read: Triton would start without gRPC.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what Triton could not read."""
        for path in filter(None, (self.certificate, self.key, self.client_ca)):
            if not (path.is_file() and os.access(path, os.R_OK)):
                raise OptionsError(f"expected a PEM file at {path}, found none that can be read")

    def arguments(self) -> list[str]:
        """Of ``tritonserver``."""
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

    Raises :class:`OptionsError`, which never shows what may be the secret itself.
    """
    name, _, source = text.partition("=")
    kind, _, place = source.partition(":")
    if kind not in ("env", "file") or not place:
        raise OptionsError(f"--restricted-key: expected NAME={SOURCES}; values are not given here")
    if kind == "env":
        return RestrictedKey(name, os.environ.get(place, "").strip(), inference_too)
    try:
        value = Path(place).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise OptionsError(f"--restricted-key: cannot read {place}: {reason}") from error
    return RestrictedKey(name, value, inference_too)
