"""Serve a model repository with a real Triton server on this machine's CPU."""

from server.errors import (
    EmbeddedServerError,
    InstallationError,
    ModelLoadError,
    OptionsError,
    PortInUseError,
    RepositoryError,
    RestartLimitError,
    ServerDiedError,
    StartError,
    StubDiedError,
)
from server.launcher import EmbeddedServer
from server.options import ServerOptions
from server.ports import free_ports
from server.security import RestrictedKey, Tls
from server.supervisor import RestartLimits

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "InstallationError",
    "ModelLoadError",
    "OptionsError",
    "PortInUseError",
    "RepositoryError",
    "RestartLimitError",
    "RestartLimits",
    "RestrictedKey",
    "ServerDiedError",
    "ServerOptions",
    "StartError",
    "StubDiedError",
    "Tls",
    "free_ports",
]
