"""A TCP relay that counts: what really crosses the wire, compressed, with headers and framing."""

import socket
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Final, Self

_CHUNK_BYTES: Final = 1 << 16


class Relay:
    """Stands between a client and the server at ``url`` (``host:port``); a context manager.

    Counts bytes both ways as soon as it has them, before it passes them on: what a client has
    received is counted.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition(":")
        self._server = (host, int(port))
        self._closing = ExitStack()
        self._listener = self._closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.sent_bytes = 0
        """From clients to the server."""
        self.received_bytes = 0
        """From the server to clients."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or accept would wait for ever
        self._closing.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for pump in (self._send, self._receive):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _send(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client:
            while chunk := client.recv(_CHUNK_BYTES):
                self.sent_bytes += len(chunk)
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)

    def _receive(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), server:
            while chunk := server.recv(_CHUNK_BYTES):
                self.received_bytes += len(chunk)
                client.sendall(chunk)
            client.shutdown(socket.SHUT_WR)
