"""Triton's HTTP API for the launcher: liveness, models, instance kinds, queued requests."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import quote

TIMEOUT_S: Final = 10.0
_PENDING: Final = re.compile(r"^nv_inference_pending_request_count\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class ModelState:
    """One entry of Triton's repository index; ``reason`` says why it is not ready, if known."""

    name: str
    ready: bool
    reason: str


@dataclass(frozen=True)
class HttpApi:
    """Triton's HTTP service at ``host`` and ``port``; ``headers`` carry a restricted API's key."""

    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def is_live(self) -> bool:
        """Whether the server answers, which it does after it has tried to load every model."""
        try:
            status, _ = self._request("GET", "/v2/health/live")
        except (OSError, HTTPException):
            return False
        return status == 200

    def repository_index(self) -> list[ModelState]:
        """Every model that Triton found in the repository.

        Raises ``OSError`` or ``HTTPException`` if it does not answer, or not with an index.
        """
        status, body = self._request("POST", "/v2/repository/index")
        if status != 200:
            raise HTTPException(
                f"expected the repository index, got status {status}: {body[:200]!r}"
            )
        try:
            return _states(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HTTPException(
                f"expected the repository index in JSON, got {body[:200]!r}"
            ) from error

    def instance_kinds(self, model: str) -> set[str]:
        """The kinds of a model's instances as Triton resolved them: ``KIND_GPU``, ``KIND_CPU``.

        Empty for an ensemble. Raises ``OSError`` or ``HTTPException`` if it does not answer.
        """
        status, body = self._request("GET", f"/v2/models/{quote(model)}/config")
        if status != 200:
            raise HTTPException(
                f"expected the config of {model}, got status {status}: {body[:200]!r}"
            )
        try:
            return {group["kind"] for group in json.loads(body).get("instance_group", ())}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HTTPException(f"expected a config in JSON, got {body[:200]!r}") from error

    def pending_requests(self) -> int:
        """Requests that wait in queues, by the metrics that this port serves.

        Raises ``OSError`` or ``HTTPException`` if they cannot be read.
        """
        status, body = self._request("GET", "/metrics")
        found = _PENDING.findall(body.decode(errors="replace"))
        if status != 200 or not found:
            raise HTTPException(f"expected metrics, got status {status}: {body[:200]!r}")
        return round(sum(map(float, found)))

    def _request(self, method: str, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers=dict(self.headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


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
