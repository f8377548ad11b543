"""What a model in a repository says of itself: its configuration, and the contract in it."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from benchmarks.errors import ModelError
from client.errors import ContractError
from client.wire.contract import CONTRACT_PARAMETER, Contract


def read_contract(repository: Path, name: str) -> Contract:
    """The contract of the model ``name``.

    Raises :class:`ModelError` when there is no such model, or it carries none.
    """
    config = read_config(repository, name)
    if CONTRACT_PARAMETER not in config.parameters:
        raise ModelError(
            f"{name!r} carries no contract: give a model exported by this project, and not one of"
            " the graphs that it is made of"
        )
    try:
        return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except ContractError as error:
        raise ModelError(f"{_path(repository, name)}: {error}") from error


def read_config(repository: Path, name: str) -> ModelConfig:
    """The configuration of the model ``name``; raises :class:`ModelError`."""
    path = _path(repository, name)
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except OSError as error:
        there = sorted(found.parent.name for found in repository.glob("*/config.pbtxt"))
        raise ModelError(
            f"no model {name!r} in {repository}, which has {', '.join(there) or 'none'}: check the"
            " name, or build it with 'python -m export build'"
        ) from error
    except text_format.ParseError as error:
        raise ModelError(f"{path} is not a model configuration: {error}") from error


def _path(repository: Path, name: str) -> Path:
    return repository / name / "config.pbtxt"
