"""Serve a model repository with a real Triton server on this machine's CPU."""

from server.errors import (
    EmbeddedServerError,
    InstallationError,
    ModelLoadError,
    OptionsError,
    PortInUseError,
    RepositoryError,
    ServerDiedError,
    StartError,
    StubDiedError,
)
from server.launcher import EmbeddedServer
from server.options import ServerOptions
from server.ports import free_ports

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "InstallationError",
    "ModelLoadError",
    "OptionsError",
    "PortInUseError",
    "RepositoryError",
    "ServerDiedError",
    "ServerOptions",
    "StartError",
    "StubDiedError",
    "free_ports",
]
