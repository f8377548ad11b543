"""What can go wrong with the embedded server, as its caller sees it.

::

    EmbeddedServerError
    ├── InstallationError    this environment lacks the server, or a stub for this Python
    ├── OptionsError         a port, host or timeout that cannot be
    │   └── PortInUseError       another program listens on that port
    ├── RepositoryError      no model repository at that path, or not the models in it
    ├── StartError           the server ended, or was not ready in time
    │   ├── CrashError           it crashed
    │   └── ModelLoadError       the server is up, some models are not
    └── ServerDiedError      the server ended unasked, after it was ready
        ├── StubDiedError        the process of one model ended; the server does not restart it
        └── RestartLimitError    it died again and again

Every message says what was expected, what came, and how to fix it.
"""

from collections.abc import Mapping


class EmbeddedServerError(Exception):
    """Base of all errors this package raises."""


class InstallationError(EmbeddedServerError):
    """The Triton server is not installed in this environment."""


class OptionsError(EmbeddedServerError):
    """Server options that cannot be served."""


class PortInUseError(OptionsError):
    """Another program listens on a port the server needs."""


class RepositoryError(EmbeddedServerError):
    """The model repository is missing, empty, or lacks a model asked for."""


class StartError(EmbeddedServerError):
    """The server did not become ready."""


class CrashError(StartError):
    """The server crashed before it was ready."""


class ModelLoadError(StartError):
    """Some models did not load; ``reasons`` maps each one's name to Triton's reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        lines = [f"  {name}: {reason}" for name, reason in self.reasons.items()]
        super().__init__("\n".join([f"{len(lines)} model(s) did not load:", *lines]))


class ServerDiedError(EmbeddedServerError):
    """The server ended although nobody asked it to."""


class StubDiedError(ServerDiedError):
    """The processes of these models ended; requests to them fail until the server restarts."""


class RestartLimitError(ServerDiedError):
    """The server died more often than it is to be restarted."""
