"""How a model is served, as its server tells: what a run's figures depend on beside the load."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

from google.protobuf import json_format
from tritonclient.grpc import InferenceServerClient

from benchmarks.load.arguments import contract_of
from benchmarks.load.loop import Target
from benchmarks.load.statistics import STEPS, role_of

_TIMEOUT_S: Final = 10.0
_FIELDS: Final = ("instance_group", "dynamic_batching", "optimization", "parameters")


def served_as(target: Target) -> dict[str, Any]:
    """The checkpoint, its precision, and of each step what its configuration says of serving.

    Raises ``InferenceServerException`` when the server does not tell.
    """
    contract = contract_of(target)
    with closing(InferenceServerClient(target.url)) as client:
        ensemble = _config(client, target.model)
        steps = [_config(client, step.model_name) for step in ensemble.ensemble_scheduling.step]
    return {
        "checkpoint_sha256": contract.checkpoint_sha256,
        "precision": contract.precision,
        "routes": [route.max_samples for route in contract.routes],
        "steps": _steps(steps),
    }


def _steps(configs: Iterable[Any]) -> dict[str, Any]:
    said = {}
    for config in configs:
        fields = json_format.MessageToDict(config, preserving_proto_field_name=True)
        role = role_of(config.name)
        said[role if role in STEPS else config.name] = {
            name: fields[name] for name in _FIELDS if name in fields
        }
    return said


def _config(client: InferenceServerClient, model: str) -> Any:
    return client.get_model_config(model, client_timeout=_TIMEOUT_S).config
