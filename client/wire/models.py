"""What a server serves: the contract of one model, or all its models with theirs.

Everything that can be wrong with a server is found here, before the first utterance is sent: gRPC
calls it all UNAVAILABLE, so that what keeps us out is looked for step by step.
"""

from collections.abc import Mapping
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
from .connection import NOT_LOADED, RESTRICTED_HEADER, Connection, ConnectionOptions
from .contract import CONTRACT_PARAMETER, Contract
from .diagnosis import connection_problem
from .waiting import retry_until_ready


@dataclass(frozen=True)
class ServedModel:
    """A model as the server lists it; ``problem`` says why there is no ``contract``."""

    name: str
    ready: bool
    contract: Contract | None = None
    problem: str = ""


def list_models(
    url: str,
    options: ConnectionOptions | None = None,
    timeout_s: float = 10.0,
    wait_s: float = 0.0,
) -> list[ServedModel]:
    """The server's models that carry a contract, and those not loaded, which cannot tell.

    Every call may take ``timeout_s``; a server that is still starting is waited for, ``wait_s`` at
    most. Raises ``ServerUnavailable``, ``DeadlineExceeded`` or ``SecurityError``.
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
    """The model's contract, once it is sure that the server takes its requests.

    Every call may take ``timeout_s``. Raises ``ServerUnavailable``,
    ``DeadlineExceeded``, ``ModelNotReady``, ``SecurityError`` or
    ``ContractError``.
    """
    try:
        config = connection.config(model, timeout_s)
    except ModelNotReady as error:
        raise _not_ready(connection, model, timeout_s) from error
    except ServerUnavailable as error:
        raise _reason(connection, error, timeout_s, model) from error
    contract = _contract_of(config, connection.url)
    version = contract.model_version
    _check_open(connection, model, version, timeout_s)
    # A server can be told which models to load: what has no route left takes the main one.
    ready = tuple(
        route for route in contract.routes if connection.is_ready(route.model, version, timeout_s)
    )
    return replace(contract, routes=ready)


def _check_open(connection: Connection, model: str, version: int, timeout_s: float) -> None:
    """Raise ``SecurityError`` when the server keeps inference to those who have its key.

    Raises ``ModelNotReady`` when it has the model in another version than its contract says.
    """
    try:
        connection.ask_for_nothing(model, version, timeout_s)
    except ModelNotReady as error:
        raise ModelNotReady(
            f"the server at {connection.url} has model {model!r} in another version than its "
            f"contract says, {version}: files of two exports are mixed in its repository. Remove "
            "the model there, and copy or export it again"
        ) from error
    except ServerUnavailable as error:
        raise _reason(connection, error, timeout_s, model) from error
    except (SecurityError, DeadlineExceeded):
        raise
    except ServerError:
        return  # it was looked at, and refused for what it is


def _reason(
    connection: Connection, error: ServerUnavailable, timeout_s: float, model: str = ""
) -> ServerError:
    """Why a server said UNAVAILABLE, or nothing, while it was connected with."""
    problem = connection_problem(connection.url, connection.options, timeout_s)
    if problem is not None:
        return problem
    with suppress(ServerUnavailable):  # the list of models may be kept from us too
        if model and connection.problems(timeout_s).get(model) != "":
            return _not_ready(connection, model, timeout_s)
    try:
        if not connection.is_live(timeout_s):
            return error
    except ServerUnavailable:
        return error
    given = [name for name in connection.options.headers if name.startswith(RESTRICTED_HEADER)]
    key = f"another value of {', '.join(given)}" if given else "its key (--restricted-key)"
    return SecurityError(
        f"the server at {connection.url} is up and keeps this to those who have a key: give {key}; "
        f"it said: {error.__cause__ or error}"
    )


def _not_ready(connection: Connection, model: str, timeout_s: float) -> ModelNotReady:
    url = connection.url
    try:
        problems = connection.problems(timeout_s)
    except ServerUnavailable:
        return ModelNotReady(
            f"the server at {url} has no model {model!r}, and keeps from us what it has: check the "
            "name, or export the model into the server's repository"
        )
    if model in problems:
        reason = problems[model] or "it has become so just now"
        failed = problems[model] and problems[model] not in NOT_LOADED
        error = ModelNotReady(
            f"the server at {url} knows model {model!r}, but it is not ready ({reason}): see the "
            "server's log, or start the server again if the model was exported since"
        )
        error.may_become_ready = not failed
        return error
    error = ModelNotReady(
        f"the server at {url} has no model {model!r}; it has {_names(problems)}: check the name, "
        "or export the model into the server's repository"
    )
    error.may_become_ready = not problems or NOT_LOADED[0] in problems.values()
    return error


def _names(problems: Mapping[str, str]) -> str:
    return ", ".join(sorted(problems)) or "none"


def _served_model(config: Any, url: str) -> ServedModel:
    try:
        return ServedModel(config.name, ready=True, contract=_contract_of(config, url))
    except ContractError as error:
        return ServedModel(config.name, ready=True, problem=str(error))


def _contract_of(config: Any, url: str) -> Contract:
    if CONTRACT_PARAMETER not in config.parameters:
        raise ContractError(
            f"model {config.name!r} carries no contract: it is a step of another model, or was not"
            f" exported by this project. `nemo-ctc models --url {url}` lists those that do"
        )
    return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
