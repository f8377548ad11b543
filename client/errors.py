"""What can go wrong, as the caller sees it.

::

    AsrError
    ├── ContractError        the server's model does not say what it needs, or says it wrongly
    ├── AudioError           one recording cannot be read or is not acceptable
    ├── DecoderError         decoding options or a language model are unusable
    ├── ManifestError        a manifest, or one line of it, is malformed
    ├── OutputError          results, a report or a cache cannot be written there
    ├── RayJobError          Ray is not there, or a job on it failed
    ├── ForkError            a forked process uses what works only in its parent
    └── ServerError          the server did not answer as it should
        ├── ServerUnavailable    not reachable, or overloaded
        ├── ServerFailed         something broke in the server, or on the way
        ├── ModelNotReady        unknown model, or known and not loaded
        ├── DeadlineExceeded     no answer in the time allowed
        ├── InvalidRequest       the server rejects the request as malformed
        └── SecurityError        TLS, a certificate, a token or a key does not fit

``AudioWarning`` is no error: what could be read was.

Every message says what was expected, what came, and how to fix it. An error carries the facts that
a program may act on as attributes, and ``options``: what to change in Python, where that mends it.
They survive pickling, so errors travel between processes.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Self


@dataclass(eq=False, repr=False)
class AsrError(Exception):
    """Base of all errors this package raises."""

    message: str = ""
    _: KW_ONLY
    options: tuple[str, ...] = ()
    """What mends it: ``Class.option`` of ours, or a ``function()``."""

    def __post_init__(self) -> None:
        """Let ``Exception`` pickle the error; its attributes follow by themselves."""
        self.args = (self.message,)

    def __str__(self) -> str:
        """The message with its options."""
        return self.text({})

    def text(self, names: Mapping[str, str]) -> str:
        """The message with its options, those in ``names`` as these call them."""
        options = ", ".join(names.get(option, option) for option in self.options)
        return f"{self.message} ({options})" if options else self.message

    def amended(self, **facts: Any) -> Self:
        """The error with other facts or another message, and the same cause."""
        other = replace(self, **facts)
        other.__cause__ = self.__cause__
        return other


@dataclass(eq=False, repr=False, kw_only=True)
class ContractError(AsrError):
    """The model's contract is missing, malformed or of another version."""

    url: str = ""
    model: str = ""


@dataclass(eq=False, repr=False, kw_only=True)
class AudioError(AsrError):
    """A recording is missing, unreadable, or outside what the model takes."""

    source: str = ""
    """The recording as messages name it: its path, or what it is otherwise."""


class AudioWarning(UserWarning):
    """A recording is damaged or truncated; what is there was read."""


@dataclass(eq=False, repr=False, kw_only=True)
class DecoderError(AsrError):
    """Decoding options, hotwords or a language model are unusable."""

    path: Path | None = None
    """The file that is unusable."""


@dataclass(eq=False, repr=False, kw_only=True)
class ManifestError(AsrError):
    """A manifest, a results file, or one line of either, is malformed."""

    path: Path | None = None
    line: int | None = None
    """From 1."""


@dataclass(eq=False, repr=False, kw_only=True)
class OutputError(AsrError):
    """Results, a report or a cache cannot be written there, or would destroy an input."""

    path: Path | None = None


class RayJobError(AsrError):
    """Ray is not there, or the job on it failed; what was transcribed is kept."""


class ForkError(AsrError):
    """A forked process uses what works only in the process that it was forked from."""


@dataclass(eq=False, repr=False, kw_only=True)
class ServerError(AsrError):
    """The server failed, or answered something unexpected."""

    url: str = ""
    model: str = ""
    grpc_status: str = ""
    """The name of the gRPC status, such as ``UNAVAILABLE``; empty where there was no answer."""
    tries: int = 1
    """How often the request was sent."""
    deadline_s: float | None = None
    """The time that the request had, retries included."""


class ServerUnavailable(ServerError):
    """The server cannot be reached or takes no more requests."""


class ServerFailed(ServerError):
    """The server broke while it worked on the request, or the connection did."""


@dataclass(eq=False, repr=False, kw_only=True)
class ModelNotReady(ServerError):
    """The model is unknown to the server or not loaded."""

    may_become_ready: bool = False
    """Whether the server is still loading models, or may load this one yet."""


class DeadlineExceeded(ServerError):
    """The server did not answer within the deadline."""


class InvalidRequest(ServerError):
    """The server rejects the request: wrong name, type or shape."""


class SecurityError(ServerError):
    """Server and client do not trust each other: TLS, a certificate, a token or a key."""
