"""What is checked before Triton is started, so that its user learns what to do."""

import errno
import socket
from pathlib import Path

from server.errors import OptionsError, PortInUseError, RepositoryError
from server.options import ServerOptions


def model_names(repository: Path) -> list[str]:
    """The folders that Triton takes for models."""
    return [path.name for path in repository.iterdir() if path.is_dir() and path.name[0] != "."]


def check_repository(options: ServerOptions) -> None:
    """Raise :class:`RepositoryError` when there is nothing to serve, or not what is asked for."""
    repository = options.repository
    fix = "build one with 'python -m export build', or correct --repository"
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
    """Raise :class:`PortInUseError`, or :class:`OptionsError` for an address not to be had."""
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
                        f"port (--{service.lower()}-port)"
                    ) from error
                raise OptionsError(
                    f"cannot listen on {place}: expected the name or IPv4 address of this machine, "
                    "and a port this user may open"
                ) from error
