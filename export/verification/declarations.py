"""Checks that the declarations of a repository (graphs, configurations, contract) are right."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from client.wire.contract import Contract
from export.checkpoint import Checkpoint
from export.config import ensemble_config, model_config, model_name, route_configs
from export.errors import GraphError, ParityError, RepositoryError
from export.graph import check_graph
from export.layout import CONFIG_FILE
from export.repository import graph_path, read_config, read_contract
from export.serving import DEFAULT_SERVING
from export.verification.thresholds import THRESHOLDS

_MAY_DIFFER: Final = ("checkpoint", "exporter_version", "model_version", "top_k")
"""A checkpoint may be renamed, and the exporter may be newer than the model. Graphs and
configurations are compared with the ``top_k`` that the contract has."""
MAX_SHOWN: Final = 60
"""Characters of a field in a message: vocabularies are long."""


def verifiable_contract(repository: Path, name: str) -> Contract:
    """The contract of ``name``, in a precision that verification knows.

    Raises ``RepositoryError``.
    """
    contract = read_contract(repository, name)
    if contract.precision not in THRESHOLDS:
        raise RepositoryError(
            f"{repository / name / CONFIG_FILE}: the precision is {contract.precision!r}, expected"
            f" one of {', '.join(THRESHOLDS)}: build the model again",
            path=repository / name,
        )
    return contract


def check_origin(contract: Contract, checkpoint: Checkpoint) -> None:
    """Raise ``ParityError`` when the model was not built from ``checkpoint``."""
    if contract.checkpoint_sha256 != checkpoint.sha256:
        raise ParityError(
            f"the model was built from another checkpoint: {contract.checkpoint}, SHA-256"
            f" {contract.checkpoint_sha256[:12]}…, not {checkpoint.name}, {checkpoint.sha256[:12]}…"
        )


def check_declarations(checkpoint: Checkpoint, repository: Path, name: str) -> Iterator[str]:
    """Differences between the declarations in the repository and those of ``checkpoint``.

    Raises ``RepositoryError`` for a file that is missing or damaged.
    """
    contract = verifiable_contract(repository, name)
    pipeline = checkpoint.pipeline_with(contract.top_k)
    duration_s = contract.max_samples / contract.sample_rate_hz  # a build's choice
    wanted = replace(
        checkpoint.contract_for(contract.precision, duration_s), routes=contract.routes
    )
    for field in fields(Contract):
        actual, expected = getattr(contract, field.name), getattr(wanted, field.name)
        if actual != expected and field.name not in _MAY_DIFFER:
            values = f"{field.name} {_short(actual)}, expected {_short(expected)}"
            yield f"the contract of {name} has {values}"
    for model in pipeline.models:
        graph = _read_graph(graph_path(repository, model_name(name, model)))
        try:
            check_graph(graph, model)
        except GraphError as error:
            yield str(error)
    configs = [
        *(model_config(name, model, DEFAULT_SERVING) for model in pipeline.models),
        ensemble_config(name, pipeline, contract),
    ]
    for route in contract.routes:
        configs += route_configs(name, pipeline, DEFAULT_SERVING, route)
    for config in configs:  # only the tensors are compared
        found = read_config(repository, config.name)
        if (list(found.input), list(found.output)) != (list(config.input), list(config.output)):
            yield f"{config.name}'s configuration has other inputs or outputs than declared"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _read_graph(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise RepositoryError(
            f"{path} cannot be read: {error}; build the model again", path=path
        ) from error
