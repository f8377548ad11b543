"""A transport that notes what becomes of each request, around the client's own."""

from concurrent.futures import Future
from time import perf_counter
from typing import Any, TypeAlias

from numpy.typing import NDArray

from benchmarks.load.records import NEVER_S, Record
from client.audio import Pcm
from client.wire.contract import Contract
from client.wire.failure_policy import FailurePolicy
from client.wire.transport import Exchange, TransportOptions, TritonTransport

Reply: TypeAlias = Future[NDArray[Any]]


class Recorder:
    """The :class:`~client.wire.transport.Transport` of one load; one thread submits."""

    def __init__(self, url: str, model: str, timeout_s: float, max_in_flight: int) -> None:
        self.sent: list[Record] = []
        """One for each request, in the order of sending, filled in as things happen."""
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
        now_s = perf_counter()
        record = Record(len(samples) / self.contract.sample_rate_hz, now_s, now_s)
        self.sent.append(record)
        reply = self._transport.submit(samples, output)
        reply.add_done_callback(lambda future: _note_reply(record, future))
        return reply

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def records(self) -> list[Record]:
        """Those of the requests that are done."""
        return [record for record in self.sent if record.done_s < NEVER_S]

    def _note_exchange(self, exchange: Exchange) -> None:
        record = self.sent[exchange.request]
        if record.planned_s == record.sent_s:  # it was not planned for another time
            record.planned_s = exchange.sent_s
        record.sent_s, record.replied_s = exchange.sent_s, exchange.replied_s
        record.request_bytes, record.reply_bytes = exchange.request_bytes, exchange.reply_bytes
        record.frames, record.batch_frames = exchange.frames, exchange.batch_frames


def _note_reply(record: Record, reply: Reply) -> None:
    if (error := reply.exception()) is not None:
        record.replied_s = min(record.replied_s, perf_counter())
        record.error = type(error).__name__
