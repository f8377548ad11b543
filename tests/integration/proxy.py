"""A TCP proxy that harms connections: it delays, goes silent, cuts off and resets, by plan."""

import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

BLOCK_BYTES = 16384
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST


@dataclass(frozen=True)
class Fault:
    """What happens to a connection once ``after_bytes`` have gone through it, both ways together.

    ``kind`` is ``none``, ``delay`` (each block waits), ``silence`` (nothing goes through any more),
    ``cut`` (closed in the middle of a message) or ``reset``.
    """

    kind: str = "none"
    after_bytes: int = 0


class FaultyProxy:
    """Forwards connections to ``target``; each gets the next fault of the plan."""

    def __init__(self, target: str, plan: Sequence[Fault]) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._plan = itertools.chain(plan, itertools.repeat(Fault()))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and end every connection."""
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                self.connections += 1
                link = _Link(client, server, next(self._plan))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=link.forward, args=ends, daemon=True).start()


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        self._ends = (client, server)
        self._fault = fault
        self._seen_bytes = 0
        self._lock = threading.Lock()

    def forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(BLOCK_BYTES):
                with self._lock:
                    self._seen_bytes += len(block)
                    due = self._seen_bytes > self._fault.after_bytes
                kind = self._fault.kind if due else "none"
                if kind == "delay":
                    time.sleep(0.01)
                elif kind == "silence":
                    continue
                elif kind == "cut":
                    sink.sendall(block[: len(block) // 2])
                    break
                elif kind == "reset":
                    for end in self._ends:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                sink.sendall(block)
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR) if self._fault.kind != "reset" else end.close()


def random_faults(seed: int, number: int, kinds: Sequence[str], most_bytes: int) -> list[Fault]:
    """A plan of ``number`` faults, the same for the same ``seed``."""
    chance = random.Random(seed)  # noqa: S311 -- a test's
    return [Fault(chance.choice(kinds), chance.randrange(most_bytes)) for _ in range(number)]


@contextmanager
def faulty_proxy(target: str, plan: Sequence[Fault]) -> Iterator[FaultyProxy]:
    """The proxy while the block lasts."""
    proxy = FaultyProxy(target, plan)
    try:
        yield proxy
    finally:
        proxy.close()
