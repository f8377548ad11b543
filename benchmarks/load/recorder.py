"""A transport that notes what becomes of each request, around the client's own."""

from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

from numpy.typing import NDArray

from benchmarks.load.records import Record
from client.audio import Pcm
from client.wire.contract import Contract
from client.wire.failure_policy import FailurePolicy
from client.wire.transport import Exchange, TransportOptions, TritonTransport

Reply: TypeAlias = Future[NDArray[Any]]


@dataclass
class Sent:
    """A request under way, filled in as things happen; ``exchange`` once it is answered."""

    duration_s: float
    called_s: float
    planned_s: float | None = None
    replied_s: float | None = None
    done_s: float | None = None
    decode_s: float | None = None
    error: str | None = None
    exchange: Exchange | None = None

    def record(self) -> Record:
        """What is kept of it when it is done."""
        done_s = self.called_s if self.done_s is None else self.done_s
        # The future tells its callbacks after those who wait for it: who waited may be here first.
        replied_s = done_s if self.replied_s is None else self.replied_s
        sent_s = self.called_s
        exchange = self.exchange
        if exchange is not None:
            sent_s, replied_s = exchange.sent_s, exchange.replied_s
        return Record(
            duration_s=self.duration_s,
            planned_s=sent_s if self.planned_s is None else self.planned_s,
            sent_s=sent_s,
            replied_s=replied_s,
            done_s=done_s,
            decode_s=self.decode_s,
            request_bytes=exchange.request_bytes if exchange else 0,
            reply_bytes=exchange.reply_bytes if exchange else 0,
            frames=exchange.frames if exchange else 0,
            batch_frames=exchange.batch_frames if exchange else 0,
            error=self.error,
        )


class Recorder:
    """The :class:`~client.wire.transport.Transport` of one load; one thread submits."""

    def __init__(self, url: str, model: str, timeout_s: float, max_in_flight: int) -> None:
        self.sent: list[Sent] = []
        options = TransportOptions(
            timeout_s,
            max_in_flight=max_in_flight,
            failures=FailurePolicy(retries=False),  # they are what is measured
            observer=self._note_exchange,
        )
        self._transport = TritonTransport(url, model, options)

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._transport.contract

    def submit(self, samples: Pcm, output: str) -> Reply:
        """Send one utterance, int16 [N], and note when."""
        sent = Sent(len(samples) / self.contract.sample_rate_hz, perf_counter())
        self.sent.append(sent)
        reply = self._transport.submit(samples, output)
        reply.add_done_callback(lambda future: _note_reply(sent, future))
        return reply

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def records(self) -> list[Record]:
        """One for each request that is done, in the order of sending."""
        return [sent.record() for sent in self.sent if sent.done_s is not None]

    def _note_exchange(self, exchange: Exchange) -> None:
        self.sent[exchange.request].exchange = exchange


def _note_reply(sent: Sent, reply: Reply) -> None:
    sent.replied_s = perf_counter()
    if (error := reply.exception()) is not None:
        sent.error = type(error).__name__
