"""Where a load goes: a server that runs already, or the embedded one; and how it serves."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf import json_format
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from benchmarks.errors import LoadError
from benchmarks.load.loop import Target
from benchmarks.load.statistics import STEPS, StatisticsReader, role_of
from benchmarks.load.watch import SERVER, Probe, Resources, program_of
from client.wire.contract import Contract
from client.wire.transport import TritonTransport
from server import EmbeddedServer, EmbeddedServerError, ServerOptions, free_ports
from server.processes import children

_LIVE_TIMEOUT_S: Final = 5.0
_CONFIG_TIMEOUT_S: Final = 10.0
_FIELDS: Final = ("instance_group", "dynamic_batching", "optimization", "parameters")


@contextmanager
def running(
    url: str, model: str, server_pid: int | None = None, check: Callable[[], None] = lambda: None
) -> Iterator[Target]:
    """A server at ``url``; its resources are seen when its process id here is given.

    ``check`` raises when it is known to be gone.
    """
    if "//" in url or urlsplit(f"//{url}").port is None:
        raise LoadError(f"--url is {url!r}, expected host:port of gRPC, as in localhost:8001")
    with closing(InferenceServerClient(url)) as client:
        probe = Probe(StatisticsReader(client).read, Resources(server_pid).sample)

        def check_all() -> None:
            check()
            _check_live(client, url)

        yield Target(url, model, probe, check_all)


@contextmanager
def embedded(
    repository: Path, model: str, *, gpu: bool, models: tuple[str, ...] = ()
) -> Iterator[Target]:
    """The embedded server for as long as the block lasts, with ``models`` of the repository or all.

    Raises ``LoadError`` when it does not start.
    """
    before = children(os.getpid())
    options = ServerOptions(repository, models=models, gpu=gpu, **free_ports())
    try:
        with EmbeddedServer(options) as server:
            started = children(os.getpid()) - before
            pid = next((each for each in started if program_of(each) == SERVER), None)
            with running(server.grpc_url, model, pid, partial(_check_alive, server)) as target:
                yield target
    except EmbeddedServerError as error:
        raise LoadError(str(error)) from error


def contract_of(target: Target) -> Contract:
    """What the model says of itself."""
    transport = TritonTransport(target.url, target.model)
    transport.close()
    return transport.contract


def served_as(target: Target) -> dict[str, Any]:
    """The checkpoint, its precision, and of each step what its configuration says of serving.

    Raises ``InferenceServerException`` when the server does not tell.
    """
    contract = contract_of(target)
    with closing(InferenceServerClient(target.url)) as client:
        ensemble = _config(client, target.model)
        steps = {}
        for step in ensemble.ensemble_scheduling.step:
            config = _config(client, step.model_name)
            fields = json_format.MessageToDict(config, preserving_proto_field_name=True)
            role = role_of(config.name)
            said = {name: fields[name] for name in _FIELDS if name in fields}
            steps[role if role in STEPS else config.name] = said
    return {
        "checkpoint_sha256": contract.checkpoint_sha256,
        "precision": contract.precision,
        "routes": [route.max_samples for route in contract.routes],
        "steps": steps,
    }


def _check_alive(server: EmbeddedServer) -> None:
    try:
        server.check()
    except EmbeddedServerError as error:
        raise LoadError(f"{error}; what was measured is kept") from error


def _check_live(client: InferenceServerClient, url: str) -> None:
    try:
        if client.is_server_live(client_timeout=_LIVE_TIMEOUT_S):
            return
        reason = "it says that it is not live"
    except InferenceServerException as error:
        reason = str(error)
    raise LoadError(
        f"the server at {url} died or became unreachable under the load ({reason}): see its log; "
        "what was measured is kept"
    )


def _config(client: InferenceServerClient, model: str) -> Any:
    return client.get_model_config(model, client_timeout=_CONFIG_TIMEOUT_S).config
