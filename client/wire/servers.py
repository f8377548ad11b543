"""Load balancing over several servers of one model, with health probes and ejection.

A request goes to the server with the fewest requests in flight, in turns among equals. A server
that was unavailable is probed at once, and ejected if the probe fails. The probe reads the model's
contract: after a restart another model may be behind the address, whose outputs must not be decoded
with this one's vocabulary. A server that fails repeatedly while others do not is ejected too.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from time import monotonic
from typing import Final, TypeAlias

from ..errors import (
    AsrError,
    ContractError,
    DeadlineExceeded,
    ModelNotReady,
    SecurityError,
    ServerError,
    ServerFailed,
    ServerUnavailable,
)
from .connection import Connection
from .contract import Contract
from .failure_policy import TRANSIENT, FailurePolicy, may_be_starting, retry_until_ready
from .timer import Timer

_log = logging.getLogger(__name__)

_SERVER_FAULTS: Final = (*TRANSIENT, ServerFailed, DeadlineExceeded)
"""Errors that count against the server, not against the request."""

ReadContract: TypeAlias = Callable[[Connection], Contract]
"""Reads the model's contract from a server; raises the errors of connecting."""


@dataclass(eq=False)
class Server:
    """One server and its health."""

    connection: Connection
    contract: Contract | None = None
    """``None`` until it was read."""
    in_flight: int = 0
    failures: int = 0
    """In a row."""
    ejections: int = 0
    """Ejections and failed probes since its last reply."""
    ejected: AsrError | None = None
    """Why it gets no requests until a probe has read its contract again."""
    ejected_until_s: float = 0.0
    probing: bool = False
    mismatch: ContractError | None = None
    """Why it never gets requests again: it serves another model."""
    last_used: int = -1

    @property
    def usable(self) -> bool:
        """Whether it gets requests."""
        return self.contract is not None and self.ejected is None and self.mismatch is None


class Servers:
    """The servers of one model, of which at least one must be ready after ``wait_s`` seconds.

    Raises the error least likely to pass when none has the contract, and at once an error that
    waiting does not mend.
    """

    def __init__(  # noqa: PLR0913 -- what it does not make itself
        self,
        connections: Sequence[Connection],
        read_contract: ReadContract,
        policy: FailurePolicy,
        timer: Timer,
        wait_s: float = 0.0,
        *,
        model: str,
    ) -> None:
        self._model = model
        self._read_contract = read_contract
        self._policy = policy
        self._timer = timer
        self._lock = threading.Lock()
        self._turn = count()
        self._closed = False
        self._servers = [Server(connection) for connection in connections]
        try:
            self.contract = retry_until_ready(self._connect, wait_s)
        except BaseException:
            self.close()
            raise

    def acquire(self) -> Server:
        """The server for the next request, which counts as in flight there until ``release``.

        Raises ``ServerUnavailable`` while no server is usable, ``ModelNotReady`` if all run
        without the model, and ``ContractError`` when every server serves another model than at
        the beginning.
        """
        with self._lock:
            usable = [server for server in self._servers if server.usable]
            if not usable:
                raise self._none_usable()
            chosen = min(usable, key=lambda each: (each.in_flight, each.last_used))
            chosen.in_flight += 1
            chosen.last_used = next(self._turn)
            return chosen

    def release(self, server: Server, error: ServerError | None) -> None:
        """Note the outcome of a request that ``acquire`` chose the server for."""
        with self._lock:
            server.in_flight -= 1
            if error is None:
                server.failures = 0
                server.ejections = 0
                return
            if not isinstance(error, _SERVER_FAULTS):
                return
            server.failures += 1
            if self._should_eject(server):
                server.ejected = error
                server.ejections += 1
                delay_s = self._policy.ejection_s(server.ejections)
                server.ejected_until_s = monotonic() + delay_s
                _log.warning("%s; ejected for %.1f s", error.message, delay_s)
            elif isinstance(error, TRANSIENT):
                delay_s = 0.0  # a full queue, or a restart: the probe tells which
            else:
                return
        self._schedule_probe(server, delay_s)

    def close(self) -> None:
        """Close all connections concurrently: each may take seconds."""
        self._closed = True
        _in_threads(server.connection.close for server in self._servers)

    def _none_usable(self) -> AsrError:
        mismatches = [server.mismatch for server in self._servers if server.mismatch]
        if len(mismatches) == len(self._servers):
            return copy(mismatches[0])  # each raise adds to an error's traceback
        ejected = [each.ejected for each in self._servers if each.ejected and not each.mismatch]
        unloaded = all(isinstance(error, ModelNotReady) for error in ejected)
        reasons = [*ejected, *mismatches]
        error = (ModelNotReady if unloaded else ServerUnavailable)(
            f"no server is usable, all are ejected: {'; '.join(r.message for r in reasons)}",
            options=tuple(dict.fromkeys(chain.from_iterable(r.options for r in reasons))),
            url=", ".join(server.connection.url for server in self._servers),
            model=self._model,
            grpc_status=getattr(ejected[0], "grpc_status", ""),
        )
        error.__cause__ = ejected[0]
        return error

    def _should_eject(self, server: Server) -> bool:
        """Whether a server that answers fails too often while others are usable."""
        others = any(other.usable for other in self._servers if other is not server)
        return others and server.failures >= self._policy.eject_after and server.ejected is None

    def _connect(self) -> Contract:
        """Read the contract of all servers concurrently; schedule probes of those that fail."""
        _in_threads(partial(self._read, server) for server in self._servers)
        ready = [(each, each.contract) for each in self._servers if each.contract is not None]
        errors = [server.ejected for server in self._servers if server.ejected is not None]
        permanent = [error for error in errors if not _may_recover(error)]
        if permanent or not ready:
            lasting = [error for error in errors if not may_be_starting(error)]
            raise (permanent or lasting or errors)[0]
        first, contract = ready[0]
        for server, its_own in ready:
            if not _same(its_own, contract):
                raise ContractError(
                    f"the server at {server.connection.url} serves the model from another "
                    f"checkpoint or export than the one at {first.connection.url}: serve the "
                    "same on all, or leave it out",
                    url=server.connection.url,
                    model=self._model,
                )
        for server in self._servers:
            if server.ejected is not None:
                _log.warning("%s; using the other servers", server.ejected.message)
                self._schedule_probe(server, self._policy.first_probe_s)
        return contract

    def _read(self, server: Server) -> None:
        try:
            server.contract = self._read_contract(server.connection)
            server.ejected = None
        except AsrError as error:
            server.ejected = error

    def _schedule_probe(self, server: Server, delay_s: float) -> None:
        """Probe it in ``delay_s`` seconds, one probe at a time."""
        with self._lock:
            if server.probing or server.mismatch is not None or self._closed:
                return
            server.probing = True
        self._timer.after(delay_s, partial(self._start_probe, server))

    def _start_probe(self, server: Server) -> None:
        """Probe on a thread of its own: a server that hangs must not delay the others."""
        if not self._closed:
            threading.Thread(target=self._probe, args=(server,), name="probe", daemon=True).start()

    def _probe(self, server: Server) -> None:
        """Readmit the server if it serves the same model, else schedule the next probe."""
        try:
            contract = self._read_contract(server.connection)
        except AsrError as error:
            _log.info("%s", error)
            with self._lock:
                server.probing = False
                server.ejected = error
                server.ejections += 1
                ejection_s = self._policy.ejection_s(server.ejections)
                delay_s = min(ejection_s, self._policy.longest_probe_s)
            self._schedule_probe(server, delay_s)
            return
        with self._lock:
            server.probing = False
            left_s = server.ejected_until_s - monotonic()
            if not _same(contract, self.contract):
                server.mismatch = ContractError(
                    f"the server at {server.connection.url} serves another checkpoint or export "
                    "of the model than when the client connected: make a new Transcriber, or serve "
                    "the earlier export",
                    url=server.connection.url,
                    model=self._model,
                )
                return
            server.contract = contract
            if server.ejected is not None and left_s <= 0:
                server.ejected = None
                server.failures = 0
        if left_s > 0:  # the probe was for an earlier error
            self._schedule_probe(server, left_s)


def _in_threads(actions: Iterable[Callable[[], None]]) -> None:
    """Run all of them concurrently."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _same(contract: Contract, other: Contract) -> bool:
    """Whether both are of one export.

    The name of the checkpoint's file does not matter, nor which routes are loaded at the moment.
    """
    return replace(contract, routes=(), checkpoint=other.checkpoint) == replace(other, routes=())


def _may_recover(error: AsrError) -> bool:
    """Whether a server that could not be reached may recover."""
    return isinstance(error, ServerError) and not isinstance(error, SecurityError)
