"""What a server serves: the contract of one model, or all its models with theirs.

Problems with a server surface here, before the first utterance is sent. gRPC reports most of them
as UNAVAILABLE, so the cause is diagnosed step by step.
"""

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from ..errors import (
    ContractError,
    DeadlineExceeded,
    ModelNotReady,
    SecurityError,
    ServerError,
    ServerUnavailable,
)
from .connection import HEADERS, NOT_LOADED, RESTRICTED_HEADER, Connection, ConnectionOptions
from .contract import CONTRACT_PARAMETER, Contract
from .diagnosis import connection_problem
from .failure_policy import retry_until_ready


@dataclass(frozen=True)
class ServedModel:
    """A model as the server lists it; ``problem`` says why there is no ``contract``."""

    name: str
    ready: bool
    contract: Contract | None = None
    problem: str = ""


def list_models(
    url: str, options: ConnectionOptions | None = None, timeout_s: float = 10.0, wait_s: float = 0.0
) -> list[ServedModel]:
    """The server's models that carry a contract, and those not loaded, whose contract is unknown.

    Every call may take ``timeout_s``; waits up to ``wait_s`` for a server that is still starting.
    Raises ``ServerUnavailable``, ``DeadlineExceeded`` or ``SecurityError``.
    """
    with closing(Connection(url, options or ConnectionOptions())) as connection:
        return retry_until_ready(lambda: _listed(connection, timeout_s), wait_s)


def _listed(connection: Connection, timeout_s: float) -> list[ServedModel]:
    try:
        problems = connection.problems(timeout_s)
        configs = [
            connection.config(name, timeout_s) for name, problem in problems.items() if not problem
        ]
    except ServerUnavailable as error:
        raise _reason(connection, error, timeout_s) from error
    models = [
        ServedModel(name, ready=False, problem=problem)
        for name, problem in problems.items()
        if problem
    ]
    models += [
        _served_model(config, connection.url)
        for config in configs
        if CONTRACT_PARAMETER in config.parameters
    ]
    return sorted(models, key=lambda model: model.name)


def read_contract(connection: Connection, model: str, timeout_s: float) -> Contract:
    """The model's contract, after checking that the server takes inference requests for it.

    Every call may take ``timeout_s``. Raises ``ServerUnavailable``,
    ``DeadlineExceeded``, ``ModelNotReady``, ``SecurityError`` or
    ``ContractError``.
    """
    try:
        config = connection.config(model, timeout_s)
    except ModelNotReady as error:
        raise _not_ready(connection, model, timeout_s, error) from error
    except ServerUnavailable as error:
        raise _reason(connection, error, timeout_s, model) from error
    contract = _contract_of(config, connection.url)
    version = contract.model_version
    _check_open(connection, model, version, timeout_s)
    # A server may load only some models: utterances without a loaded route use the main one.
    ready = tuple(
        route for route in contract.routes if connection.is_ready(route.model, version, timeout_s)
    )
    return replace(contract, routes=ready)


def _check_open(connection: Connection, model: str, version: int, timeout_s: float) -> None:
    """Raise ``SecurityError`` when the server restricts inference to clients with a key.

    Raises ``ModelNotReady`` when it has the model in another version than its contract says.
    """
    try:
        connection.probe_inference(model, version, timeout_s)
    except ModelNotReady as error:
        raise error.amended(
            message=f"the server at {connection.url} has model {model!r} in another version than "
            f"its contract says, {version}: files of two exports are mixed in its repository. "
            "Remove the model there, and copy or export it again"
        ) from error
    except ServerUnavailable as error:
        raise _reason(connection, error, timeout_s, model) from error
    except (SecurityError, DeadlineExceeded):
        raise
    except ServerError:
        return  # inference is permitted: the server parsed the request and rejected its content


def _reason(
    connection: Connection, error: ServerUnavailable, timeout_s: float, model: str = ""
) -> ServerError:
    """Why a server replied UNAVAILABLE, or did not reply."""
    problem = connection_problem(connection.url, connection.options, timeout_s)
    if problem is not None:
        return problem.amended(model=model, grpc_status=error.grpc_status)
    with suppress(ServerUnavailable):  # the list of models may be restricted too
        if model and connection.problems(timeout_s).get(model) != "":
            return _not_ready(connection, model, timeout_s, error)
    try:
        if not connection.is_live(timeout_s):
            return error
    except ServerUnavailable:
        return error
    given = [name for name in connection.options.headers if name.startswith(RESTRICTED_HEADER)]
    key = f"another value of {', '.join(given)}" if given else "its key"
    return SecurityError(
        f"the server at {connection.url} restricts this to clients with a key: give {key} as a "
        f"header; it replied: {error.__cause__ or error.message}",
        options=HEADERS,
        url=connection.url,
        model=model,
        grpc_status=error.grpc_status,
    )


def _not_ready(
    connection: Connection, model: str, timeout_s: float, error: ServerError
) -> ModelNotReady:
    check = "check the name, or export the model into the server's repository"
    may_become_ready = False
    try:
        problems = connection.problems(timeout_s)
    except ServerUnavailable:
        said = f"has no model {model!r}, and does not list those it has: {check}"
    else:
        if model in problems:
            reason = problems[model] or "it has just become ready"
            may_become_ready = problems[model] in ("", *NOT_LOADED)
            said = (
                f"has model {model!r}, but it is not ready ({reason}): see the server's log, or "
                "restart the server if the model was exported since"
            )
        else:
            may_become_ready = not problems or NOT_LOADED[0] in problems.values()
            said = (
                f"has no model {model!r}; it has {', '.join(sorted(problems)) or 'none'}: {check}"
            )
    url = connection.url
    return ModelNotReady(
        f"the server at {url} {said}",
        url=url,
        model=model,
        grpc_status=error.grpc_status,
        may_become_ready=may_become_ready,
    )


def _served_model(config: Any, url: str) -> ServedModel:
    try:
        return ServedModel(config.name, ready=True, contract=_contract_of(config, url))
    except ContractError as error:
        return ServedModel(config.name, ready=True, problem=error.message)


def _contract_of(config: Any, url: str) -> Contract:
    if CONTRACT_PARAMETER not in config.parameters:
        raise ContractError(
            f"model {config.name!r} carries no contract: it is a step of another model, or was not"
            " exported by this project: list the models that carry one",
            options=("list_models()",),
            url=url,
            model=config.name,
        )
    try:
        return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except ContractError as error:
        raise error.amended(url=url, model=config.name) from error.__cause__
