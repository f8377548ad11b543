"""Do graphs, configurations and contract of a repository say what the checkpoint asks for?"""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

import onnx
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.contract import CONTRACT_PARAMETER, Contract
from client.errors import ContractError
from export.checkpoint import Checkpoint
from export.config import ensemble_config, model_config, model_name, parse_config
from export.declared import contract_of, pipeline_of
from export.errors import GraphError, ParityError, RepositoryError
from export.graph import check_graph
from export.layout import CONFIG_FILE
from export.repository import graph_path
from export.verification.thresholds import THRESHOLDS

MAX_SHOWN: Final = 60
"""Characters of a field in a message: vocabularies are long."""


def read_contract(repository: Path, name: str) -> Contract:
    """The contract in the ensemble's configuration.

    Raises :class:`RepositoryError` when there is none, or it is not of this version.
    """
    config = _read_config(repository, name)
    path = repository / name / CONFIG_FILE
    try:
        contract = Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except ContractError as error:
        raise RepositoryError(f"{path}: {error}") from error
    if contract.precision not in THRESHOLDS:
        raise RepositoryError(
            f"{path}: the precision is {contract.precision!r}, expected one of"
            f" {', '.join(THRESHOLDS)}: build the model again"
        )
    return contract


def check_origin(contract: Contract, checkpoint: Checkpoint) -> None:
    """Raise :class:`ParityError` when the model was not built from ``checkpoint``."""
    if contract.checkpoint_sha256 != checkpoint.sha256:
        raise ParityError(
            f"the model was built from another checkpoint: {contract.checkpoint}, SHA-256"
            f" {contract.checkpoint_sha256[:12]}…, not {checkpoint.name}, {checkpoint.sha256[:12]}…"
        )


def check_declarations(checkpoint: Checkpoint, repository: Path, name: str) -> Iterator[str]:
    """Differences of graphs, configurations and contract from what ``checkpoint`` asks for.

    Raises :class:`RepositoryError` for a file that is missing or damaged.
    """
    pipeline = pipeline_of(checkpoint)
    contract = read_contract(repository, name)
    duration_s = contract.max_samples / contract.sample_rate_hz  # a build's choice
    wanted = contract_of(checkpoint, contract.precision, duration_s)
    for field in fields(Contract):
        actual, expected = getattr(contract, field.name), getattr(wanted, field.name)
        # A checkpoint may be renamed, and the exporter may be newer than the model.
        if actual != expected and field.name not in ("checkpoint", "exporter_version"):
            values = f"{field.name} {_short(actual)}, expected {_short(expected)}"
            yield f"the contract of {name} has {values}"
    for model in pipeline.models:
        graph = _read_graph(graph_path(repository, model_name(name, model)))
        try:
            check_graph(graph, model)
        except GraphError as error:
            yield str(error)
    configs = [
        *(model_config(name, model) for model in pipeline.models),
        ensemble_config(name, pipeline, contract),
    ]
    for config in configs:
        found = _read_config(repository, config.name)
        if (list(found.input), list(found.output)) != (list(config.input), list(config.output)):
            yield f"{config.name}'s configuration has other inputs or outputs than declared"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _read_graph(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise RepositoryError(f"{path} cannot be read: {error}; build the model again") from error


def _read_config(repository: Path, model: str) -> ModelConfig:
    path = repository / model / CONFIG_FILE
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepositoryError(f"no model {model!r} in {repository}: build it first") from error
    except text_format.ParseError as error:
        raise RepositoryError(f"{path} is not a model configuration: {error}") from error
