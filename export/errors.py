"""What can go wrong between a checkpoint and a published repository.

::

    ExportError
    ├── CheckpointError    not there, not readable, or not a model this project exports
    ├── GraphError         the exported graph is not what was declared
    ├── ParityError        the exported model does not do what the checkpoint does
    ├── EngineError        a TensorRT engine cannot be built or used
    └── RepositoryError    the model repository cannot be written or read
"""


class ExportError(Exception):
    """Base of all errors this package raises."""


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
