"""Several servers of one model: which takes the next request, and which is left alone for a while.

A request goes to the server with the fewest in flight, in turns among equals. A server that was
unavailable is asked for the model's contract at once, and gets no requests until it tells it:
behind an address there may be another model after a restart, whose answers must not be decoded with
this one's vocabulary. One that fails again and again, while others do not, is left alone too.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
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
from .failure_policy import MAY_PASS, FailurePolicy
from .timer import Timer
from .waiting import may_be_starting, retry_until_ready

_log = logging.getLogger(__name__)

_BLAMING: Final = (*MAY_PASS, ServerFailed, DeadlineExceeded)
"""Errors that speak against the server, and not against the request."""

ReadContract: TypeAlias = Callable[[Connection], Contract]
"""Asks a server for the model's contract; raises the errors of connecting."""


@dataclass(eq=False)
class Server:
    """One server, and how it does."""

    connection: Connection
    contract: Contract | None = None
    """``None`` until it has told it."""
    in_flight: int = 0
    failures: int = 0
    """In a row."""
    absences: int = 0
    """How often it was left alone since its last answer, and was asked in vain."""
    away: AsrError | None = None
    """Why it gets no requests until it has told its contract again."""
    alone_until_s: float = 0.0
    asked: bool = False
    refusal: ContractError | None = None
    """Why it never gets requests again."""
    last_used: int = -1

    @property
    def usable(self) -> bool:
        """Whether it takes requests."""
        return self.contract is not None and self.away is None and self.refusal is None


class Servers:
    """The servers of one model, of which one has to be there after ``wait_s`` seconds.

    Raises what the first said when none tells a contract, or what waiting does not mend.
    """

    def __init__(
        self,
        connections: Sequence[Connection],
        read_contract: ReadContract,
        policy: FailurePolicy,
        timer: Timer,
        wait_s: float = 0.0,
    ) -> None:
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

    def take(self) -> Server:
        """The server for the next request, which counts as in flight there until it is given back.

        Raises ``ServerUnavailable`` while none can be used, ``ModelNotReady`` if all are
        there without the model, and ``ContractError`` when every server serves another model
        than at the beginning.
        """
        with self._lock:
            usable = [server for server in self._servers if server.usable]
            if not usable:
                raise self._none_usable()
            chosen = min(usable, key=lambda each: (each.in_flight, each.last_used))
            chosen.in_flight += 1
            chosen.last_used = next(self._turn)
            return chosen

    def give_back(self, server: Server, error: ServerError | None) -> None:
        """Say what became of a request that ``take`` chose the server for."""
        with self._lock:
            server.in_flight -= 1
            if error is None:
                server.failures = 0
                server.absences = 0
                return
            if not isinstance(error, _BLAMING):
                return
            server.failures += 1
            if self._sick(server):
                server.away = error
                server.absences += 1
                delay_s = self._policy.absence_s(server.absences)
                server.alone_until_s = monotonic() + delay_s
                _log.warning("%s; it gets no requests for %.1f s", error, delay_s)
            elif isinstance(error, MAY_PASS):
                delay_s = 0.0  # a full queue, or a restart: the contract tells
            else:
                return
        self._ask(server, delay_s)

    def close(self) -> None:
        """Hang up everywhere, at once: a connection may take seconds."""
        self._closed = True
        _in_threads(server.connection.close for server in self._servers)

    def _none_usable(self) -> AsrError:
        refusals = [server.refusal for server in self._servers]
        if all(refusals):
            return copy(next(filter(None, refusals)))  # each raise adds to an error's traceback
        away = [server.away for server in self._servers if server.refusal is None]
        gone = all(isinstance(error, ModelNotReady) for error in away)
        reasons = "; ".join(str(server.refusal or server.away) for server in self._servers)
        error = (ModelNotReady if gone else ServerUnavailable)(
            f"no server can be used, though asked again and again: {reasons}"
        )
        error.__cause__ = away[0]
        return error

    def _sick(self, server: Server) -> bool:
        """Whether it is time to leave a server alone that is there, because others do better."""
        others = any(other.usable for other in self._servers if other is not server)
        return others and server.failures >= self._policy.away_after and server.away is None

    def _connect(self) -> Contract:
        """Ask all servers at once; those that do not answer are asked again later."""
        _in_threads(partial(self._meet, server) for server in self._servers)
        told = [(each, each.contract) for each in self._servers if each.contract is not None]
        said = [server.away for server in self._servers if server.away is not None]
        refused = [error for error in said if not _may_pass(error)]
        if refused or not told:
            lasting = [error for error in said if not may_be_starting(error)]
            raise (refused or lasting or said)[0]
        first, contract = told[0]
        for server, its_own in told:
            if not _same(its_own, contract):
                raise ContractError(
                    f"the server at {server.connection.url} serves the model from another "
                    f"checkpoint or export than the one at {first.connection.url}: serve the "
                    "same on all, or leave it out"
                )
        for server in self._servers:
            if server.contract is None:
                _log.warning("%s; others are used meanwhile", server.away)
                self._ask(server, self._policy.return_s)
        return contract

    def _meet(self, server: Server) -> None:
        try:
            server.contract = self._read_contract(server.connection)
            server.away = None
        except AsrError as error:
            server.away = error

    def _ask(self, server: Server, delay_s: float) -> None:
        """Ask it for its contract in ``delay_s`` seconds, once at a time."""
        with self._lock:
            if server.asked or server.refusal is not None or self._closed:
                return
            server.asked = True
        # A thread of its own: a server that does not answer must not hold up the others.
        ask = threading.Thread(target=self._listen, args=(server,), name="return", daemon=True)
        self._timer.after(delay_s, partial(_start_unless, lambda: self._closed, ask))

    def _listen(self, server: Server) -> None:
        """Whether a server is there, and the same."""
        try:
            contract = self._read_contract(server.connection)
        except AsrError as error:
            _log.info("%s", error)
            with self._lock:
                server.asked = False
                server.away = error
                server.absences += 1
                delay_s = min(
                    self._policy.absence_s(server.absences), self._policy.longest_return_s
                )
            self._ask(server, delay_s)
            return
        with self._lock:
            server.asked = False
            alone_s = server.alone_until_s - monotonic()
            if not _same(contract, self.contract):
                server.refusal = ContractError(
                    f"the server at {server.connection.url} serves another checkpoint or export "
                    "of the model than when this run began: run again, or serve what it was"
                )
                return
            server.contract = contract
            if server.away is not None and alone_s <= 0:
                server.away = None
                server.failures = 0
        if alone_s > 0:  # it was asked about something else
            self._ask(server, alone_s)


def _in_threads(actions: Iterable[Callable[[], None]]) -> None:
    """Do all of them at the same time."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _start_unless(closed: Callable[[], bool], thread: threading.Thread) -> None:
    if not closed():
        thread.start()


def _same(contract: Contract, other: Contract) -> bool:
    """Whether both are of one export.

    Neither what the checkpoint's file is called matters, nor which routes are loaded at the moment.
    """
    return replace(contract, routes=(), checkpoint=other.checkpoint) == replace(other, routes=())


def _may_pass(error: AsrError) -> bool:
    """Whether a server that could not be talked to may be there later."""
    return isinstance(error, ServerError) and not isinstance(error, SecurityError)
