"""What the launcher asks Triton over HTTP: is it up, which models are ready, and on what."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class ModelState:
    """One entry of Triton's repository index; ``reason`` says why it is not ready, if known."""

    name: str
    ready: bool
    reason: str


def is_live(host: str, port: int) -> bool:
    """Whether the server answers; it does so once it has tried to load every model."""
    try:
        status, _ = _request(host, port, "GET", "/v2/health/live")
    except (OSError, HTTPException):
        return False
    return status == 200


def repository_index(host: str, port: int) -> list[ModelState]:
    """Every model Triton found in the repository.

    Raises ``OSError`` or ``HTTPException`` when it does not answer, or with something else.
    """
    status, body = _request(host, port, "POST", "/v2/repository/index")
    if status != 200:
        raise HTTPException(f"expected the repository index, got status {status}: {body[:200]!r}")
    try:
        return _states(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HTTPException(f"expected the repository index in JSON, got {body[:200]!r}") from error


def instance_kinds(host: str, port: int, model: str) -> set[str]:
    """The kinds of a model's instances as Triton resolved them: ``KIND_GPU``, ``KIND_CPU``.

    Empty for an ensemble. Raises ``OSError`` or ``HTTPException`` when it does not answer so.
    """
    status, body = _request(host, port, "GET", f"/v2/models/{quote(model)}/config")
    if status != 200:
        raise HTTPException(f"expected the config of {model}, got status {status}: {body[:200]!r}")
    try:
        return {group["kind"] for group in json.loads(body).get("instance_group", ())}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HTTPException(f"expected a config in JSON, got {body[:200]!r}") from error


def _states(index: Any) -> list[ModelState]:
    return [
        ModelState(
            name=entry["name"],
            ready=entry.get("state") == "READY",
            # The python backend appends a Python traceback to the reason.
            reason=entry.get("reason", "").partition("\n\nAt:")[0],
        )
        for entry in index
    ]


def _request(host: str, port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
