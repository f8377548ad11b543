"""Several servers of one model: which takes the next request, and which is left alone for a while.

A request goes to the server with the fewest in flight, in turns among equals. A server that fails
again and again is ejected; it returns when it tells its contract again, the same one: behind an
address there may be another model after a restart.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeAlias

from client.connection import Connection
from client.contract import Contract
from client.errors import AsrError, ContractError, SecurityError, ServerError
from client.failure_policy import FailurePolicy, blames_server
from client.timer import Timer

_log = logging.getLogger(__name__)

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
    returns: int = 0
    """How often it was asked in vain whether it is back."""
    ejected: bool = False
    refusal: ContractError | None = None
    """Why it never takes requests again."""
    last_used: int = -1


class Servers:
    """The servers of one model. Raises what the first said when none tells a contract."""

    def __init__(
        self,
        connections: Sequence[Connection],
        read_contract: ReadContract,
        policy: FailurePolicy,
        timer: Timer,
    ) -> None:
        self._read_contract = read_contract
        self._policy = policy
        self._timer = timer
        self._lock = threading.Lock()
        self._turn = count()
        self._closed = False
        self._servers = [Server(connection) for connection in connections]
        self.contract = self._connect()

    def take(self) -> Server:
        """The server for the next request, which counts as in flight there until it is given back.

        Where all are ejected it is one of them: it may be back by now. Raises
        :class:`ContractError` when every server serves another model than at the beginning.
        """
        with self._lock:
            able = [server for server in self._servers if server.refusal is None]
            if not able:
                raise next(server.refusal for server in self._servers if server.refusal)
            # One that has not told its contract is asked for nothing else, not even in need.
            known = [server for server in able if server.contract is not None]
            healthy = [server for server in known if not server.ejected]
            chosen = min(healthy or known, key=lambda each: (each.in_flight, each.last_used))
            chosen.in_flight += 1
            chosen.last_used = next(self._turn)
            return chosen

    def give_back(self, server: Server, error: ServerError | None) -> None:
        """Say what became of a request that :meth:`take` chose the server for."""
        with self._lock:
            server.in_flight -= 1
            if error is None:
                server.failures = 0
                server.ejected = False
                server.returns = 0
                return
            if not blames_server(error):
                return
            server.failures += 1
            if server.failures < self._policy.ejected_after or server.ejected:
                return
            server.ejected = True
        if len(self._servers) > 1:
            _log.warning("%s; it is left alone until it is back", error)
        self._ask_later(server)

    def close(self) -> None:
        """Hang up everywhere."""
        self._closed = True
        for server in self._servers:
            server.connection.close()

    def _connect(self) -> Contract:
        """Ask all servers at once; those that do not answer are asked again later."""
        errors: list[AsrError] = []
        threads = [
            threading.Thread(target=self._meet, args=(server, errors), daemon=True)
            for server in self._servers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [server.contract for server in self._servers if server.contract is not None]
        refused = [error for error in errors if not _may_pass(error)]
        if refused or not told:
            self.close()
            raise (refused or errors)[0]
        for error in errors:
            _log.warning("%s; the other servers are used meanwhile", error)
        for server in self._servers:
            if server.contract is None:
                server.ejected = True
                self._ask_later(server)
            elif server.contract != told[0]:
                self.close()
                raise _differs(server, self._servers[0])
        return told[0]

    def _meet(self, server: Server, errors: list[AsrError]) -> None:
        try:
            server.contract = self._read_contract(server.connection)
        except AsrError as error:
            errors.append(error)

    def _ask_later(self, server: Server) -> None:
        delay_s = self._policy.absence_s(server.returns)
        # A thread of its own: a server that does not answer must not hold up the others.
        ask = threading.Thread(target=self._ask, args=(server,), name="return", daemon=True)
        self._timer.after(delay_s, partial(_start_unless, lambda: self._closed, ask))

    def _ask(self, server: Server) -> None:
        """Whether an ejected server is back, and the same."""
        try:
            contract = self._read_contract(server.connection)
        except AsrError as error:
            _log.info("%s", error)
            server.returns += 1
            if server.ejected and not self._closed:
                self._ask_later(server)
            return
        with self._lock:
            if contract != self.contract:
                server.refusal = _differs(server, self._servers[0])
                return
            server.contract = contract
            server.ejected = False
            server.failures = 0


def _start_unless(closed: Callable[[], bool], thread: threading.Thread) -> None:
    if not closed():
        thread.start()


def _may_pass(error: AsrError) -> bool:
    """Whether a server that could not be talked to may be there later."""
    return isinstance(error, ServerError) and not isinstance(error, SecurityError)


def _differs(server: Server, first: Server) -> ContractError:
    return ContractError(
        f"the server at {server.connection.url} serves the model from another checkpoint or "
        f"export than the one at {first.connection.url}: serve the same on all, or leave it out"
    )
