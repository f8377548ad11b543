"""Errors of the embedded server.

::

    EmbeddedServerError
    ├── InstallationError    this environment lacks the server, or a stub for this Python
    ├── OptionsError         an invalid port, host or timeout
    │   └── PortInUseError       another program listens on that port
    ├── RepositoryError      no model repository at that path, or models missing from it
    ├── StartError           the server exited, or was not ready in time
    │   ├── CrashError           it crashed
    │   └── ModelLoadError       the server is up, but some models did not load
    └── ServerDiedError      the server exited unexpectedly, after it was ready
        ├── StubDiedError        a worker process of a model died; Triton does not restart it
        └── RestartLimitError    it died too often to be restarted again

Every message says what was expected, what was found, and how to fix it.
"""

from collections.abc import Mapping


class EmbeddedServerError(Exception):
    """Base of all errors that this package raises."""


class InstallationError(EmbeddedServerError):
    """The Triton server is not installed in this environment."""


class OptionsError(EmbeddedServerError):
    """Invalid server options."""


class PortInUseError(OptionsError):
    """Another program listens on a port that the server needs."""


class RepositoryError(EmbeddedServerError):
    """The model repository is missing, empty, or lacks a requested model."""


class StartError(EmbeddedServerError):
    """The server did not become ready."""


class CrashError(StartError):
    """The server crashed before it was ready."""


class ModelLoadError(StartError):
    """Some models did not load; ``reasons`` maps their names to Triton's reasons."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        lines = [f"  {name}: {reason}" for name, reason in self.reasons.items()]
        super().__init__("\n".join([f"{len(lines)} model(s) did not load:", *lines]))


class ServerDiedError(EmbeddedServerError):
    """The server exited unexpectedly."""


class StubDiedError(ServerDiedError):
    """Worker processes of models died; requests to them fail until the server restarts."""


class RestartLimitError(ServerDiedError):
    """The server died more often than the restart limit allows."""
