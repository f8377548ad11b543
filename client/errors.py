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
        ├── InvalidRequest       the server refuses the request as malformed
        └── SecurityError        TLS, a certificate, a token or a key does not fit

``AudioWarning`` is no error: what could be read was.

Every message says what was expected, what came, and how to fix it.
"""


class AsrError(Exception):
    """Base of all errors this package raises."""


class ContractError(AsrError):
    """The model's contract is missing, malformed or of another version."""


class AudioError(AsrError):
    """A recording is missing, unreadable, or outside what the model takes."""


class AudioWarning(UserWarning):
    """A recording is damaged or truncated; what is there was read."""


class DecoderError(AsrError):
    """Decoding options, hotwords or a language model are unusable."""


class ManifestError(AsrError):
    """A manifest, or one line of it, is malformed."""


class OutputError(AsrError):
    """Results, a report or a cache cannot be written there, or would destroy an input."""


class RayJobError(AsrError):
    """Ray is not there, or the job on it failed; what was transcribed is kept."""


class ForkError(AsrError):
    """A forked process uses what works only in the process that it was forked from."""


class ServerError(AsrError):
    """The server failed, or answered something unexpected."""


class ServerUnavailable(ServerError):
    """The server cannot be reached or takes no more requests."""


class ServerFailed(ServerError):
    """The server broke while it worked on the request, or the connection did."""


class ModelNotReady(ServerError):
    """The model is unknown to the server or not loaded.

    ``may_become_ready`` is true where the server is still loading models, or may load this one yet.
    """

    may_become_ready: bool = False


class DeadlineExceeded(ServerError):
    """The server did not answer within the deadline."""


class InvalidRequest(ServerError):
    """The server refuses the request: wrong name, type or shape."""


class SecurityError(ServerError):
    """Server and client do not trust each other: TLS, a certificate, a token or a key."""
