"""What can go wrong, as the caller sees it.

::

    AsrError
    ├── ContractError        the model's contract is missing or malformed
    ├── AudioError           one recording is unreadable or outside the model's limits
    ├── DecoderError         decoding options or a language model are unusable
    ├── ManifestError        a manifest, a results file, or one line of either, is malformed
    ├── OutputError          results, a report or a cache cannot be written there
    ├── MissingPackage       an optional package is not installed
    ├── RayJobError          Ray cannot be used, or a job on it failed
    ├── ForkError            a forked process uses a resource of its parent
    └── ServerError          the server failed, or sent an unexpected reply
        ├── ServerUnavailable    not reachable, or overloaded
        ├── ServerFailed         the server or the connection broke during the request
        ├── ModelNotReady        the model is unknown, or not loaded
        ├── DeadlineExceeded     no reply within the deadline
        ├── InvalidRequest       the server rejects the request as malformed
        └── SecurityError        TLS, a certificate, a token or a key was rejected

``AudioWarning`` is no error: the readable part was read.

Every message says what was expected, what came, and how to fix it. Attributes hold the facts for
programs, and ``options`` the options in Python that mend the error. All of them survive pickling,
so errors travel between processes.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self  # novm -- for types alone: the engine command runs on Python 3.10


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

    def amended(self, **facts: Any) -> "Self":
        """The error with other facts or another message, and the same cause and notes."""
        other = replace(self, **facts)
        other.__cause__ = self.__cause__
        for note in getattr(self, "__notes__", ()):
            other.add_note(note)
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
    """A recording is damaged or truncated, and the readable part was read; or part is left out."""


@dataclass(eq=False, repr=False, kw_only=True)
class _OfFile(AsrError):
    path: Path | None = None
    """The file that it is about, if any."""

    @classmethod
    def of(cls, path: Path, reason: str, **facts: Any) -> "Self":
        """The error of a file, whose message begins with its path."""
        return cls(f"{path}: {reason}", path=path, **facts)


class DecoderError(_OfFile):
    """Decoding options, hotwords or a language model are unusable."""


@dataclass(eq=False, repr=False, kw_only=True)
class ManifestError(_OfFile):
    """A manifest, a results file, or one line of either, is malformed."""

    line: int | None = None
    """From 1."""


class OutputError(_OfFile):
    """Results, a report or a cache cannot be written there, or would destroy an input."""


@dataclass(eq=False, repr=False, kw_only=True)
class MissingPackage(AsrError, ImportError):
    """An optional ``package`` is not installed.

    This project's ``extra`` brings it; empty for ``nemo-ctc-search``, which has none.
    """

    package: str = ""
    extra: str = ""


class RayJobError(AsrError):
    """Ray cannot be used, or a job on it failed; finished results are kept."""


class ForkError(AsrError):
    """A forked process uses a resource of the process that it was forked from."""


@dataclass(eq=False, repr=False, kw_only=True)
class ServerError(AsrError):
    """The server failed, or sent an unexpected reply."""

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
    """The server or the connection broke during the request."""


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
