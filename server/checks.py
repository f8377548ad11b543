"""Checks before Triton starts, whose errors tell the user what to fix."""

import errno
import socket
from pathlib import Path

from server.errors import OptionsError, PortInUseError, RepositoryError
from server.options import ServerOptions


def model_names(repository: Path) -> list[str]:
    """The folders that Triton reads as models."""
    return [path.name for path in repository.iterdir() if path.is_dir() and path.name[0] != "."]


def check_repository(options: ServerOptions) -> None:
    """Raise ``RepositoryError`` if the repository or a requested model is missing."""
    repository = options.repository
    fix = "build one with 'python -m export build', or correct the path"
    if not repository.is_dir():
        raise RepositoryError(f"expected a model repository at {repository}, found none: {fix}")
    found = model_names(repository)
    if not found:
        raise RepositoryError(
            f"expected a folder per model in {repository}, found no folder: {fix}"
        )
    if unknown := set(options.models) - set(found):
        raise RepositoryError(
            f"expected models {', '.join(sorted(unknown))} in {repository}, found "
            f"{', '.join(sorted(found))}: correct the name, or export the model into it"
        )


def check_ports(options: ServerOptions) -> None:
    """Raise ``PortInUseError``, or ``OptionsError`` for an unavailable address."""
    for service, port in options.ports().items():
        host = options.host_of(service)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                place = f"{host}:{port} for {service} ({error.strerror})"
                if error.errno == errno.EADDRINUSE:
                    raise PortInUseError(
                        f"cannot listen on {place}: stop the program that does, or choose another "
                        f"{service} port"
                    ) from error
                raise OptionsError(
                    f"cannot listen on {place}: expected a name or IPv4 address of this machine, "
                    "and a port that this user may open"
                ) from error
