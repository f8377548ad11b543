"""What can go wrong between a checkpoint and a published repository.

::

    ExportError
    ├── CheckpointError    not there, not readable, or not a model this project exports
    ├── GraphError         the exported graph is not what was declared
    ├── ParityError        the exported model does not do what the checkpoint does
    ├── EngineError        a TensorRT engine cannot be built or used
    └── RepositoryError    the model repository cannot be written or read
"""

from collections.abc import Iterable
from pathlib import Path


class ExportError(Exception):
    """Base of all errors this package raises; the message says what to do about it.

    ``path`` is the file or folder concerned. ``problems`` are the single findings where there are
    several. ``options`` are the Python options whose other values could help, by name; the command
    line shows its flags for them.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | None = None,
        problems: Iterable[str] = (),
        options: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.path = path
        self.problems = tuple(problems)
        self.options = tuple(options)


class CheckpointError(ExportError):
    """The checkpoint is missing, damaged, or of a kind that is not exported."""


class GraphError(ExportError):
    """An exported graph's names, types or axes are not what was declared."""


class ParityError(ExportError):
    """The exported model differs from the checkpoint by more than is allowed."""


class EngineError(ExportError):
    """A TensorRT engine cannot be built or used."""


class RepositoryError(ExportError):
    """The model repository cannot be written or read."""
