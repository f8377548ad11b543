"""What is kept of each request, by a transport around the client's own, and when it is counted."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from client.audio import Pcm
from client.wire.contract import Contract
from client.wire.failure_policy import FailurePolicy
from client.wire.top_tokens import Output
from client.wire.transport import Exchange, TransportOptions, TritonTransport

Reply: TypeAlias = Future[NDArray[Any]]
NEVER_S: Final = float("inf")


@dataclass
class Record:
    """One request, in flight, answered or failed. Times are ``time.perf_counter``'s.

    ``planned_s`` is when it was to be sent: in an open loop as drawn beforehand, in a closed one
    when it was its turn. ``done_s`` is when its transcript was there. Bytes and frames are 0 where
    there was no answer.
    """

    duration_s: float
    """Of its audio."""
    planned_s: float
    sent_s: float
    replied_s: float = NEVER_S
    """When the answer or the error came."""
    done_s: float = NEVER_S
    decode_s: float | None = None
    """CPU time of its decoding."""
    request_bytes: int = 0
    reply_bytes: int = 0
    frames: int = 0
    batch_frames: int = 0
    error: str | None = None
    """The error's type."""

    @property
    def latency_s(self) -> float:
        """From the planned time of sending to the answer."""
        return self.replied_s - self.planned_s

    @property
    def transcript_s(self) -> float:
        """From the planned time of sending to the transcript."""
        return self.done_s - self.planned_s


@dataclass(frozen=True)
class Window:
    """The time in which requests are counted, ``start_s`` to ``end_s``: not while warming up."""

    start_s: float
    end_s: float

    @property
    def wall_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s

    def answered(self, records: Sequence[Record]) -> list[Record]:
        """Those that were answered within it, whenever they were sent: the throughput."""
        return [each for each in records if self.start_s <= each.replied_s <= self.end_s]

    def share(self, record: Record) -> float:
        """How much of the record's time in flight lies within it, 0 to 1.

        Answers come in batches: whether the last batch ends just before the window or just after
        makes a difference of many requests, and its share of them does not.
        """
        under_way_s = record.replied_s - record.sent_s
        if under_way_s <= 0:
            return float(self.start_s <= record.replied_s <= self.end_s)
        within_s = min(record.replied_s, self.end_s) - max(record.sent_s, self.start_s)
        return max(0.0, within_s) / under_way_s

    def planned(self, records: Sequence[Record]) -> list[Record]:
        """Those to be sent within it, whenever they were answered.

        Under overload the slow ones are answered after it: to leave them out would flatter.
        """
        return [each for each in records if self.start_s <= each.planned_s <= self.end_s]


class Recorder:
    """The ``Transport`` of one load; one thread submits."""

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

    def submit(self, samples: Pcm, output: Output) -> Reply:
        """Send one utterance, int16 [N], and note when."""
        now_s = perf_counter()
        record = Record(len(samples) / self.contract.sample_rate_hz, now_s, now_s)
        self.sent.append(record)
        reply = self._transport.submit(samples, output)
        reply.add_done_callback(lambda future: _note_reply(record, future))
        return reply

    def close(self) -> None:
        """Disconnect."""
        self._transport.close()

    def records(self) -> list[Record]:
        """Those of the requests that are done."""
        return [record for record in self.sent if record.done_s < NEVER_S]

    def _note_exchange(self, exchange: Exchange) -> None:
        record = self.sent[exchange.request]
        if not record.reply_bytes:  # not the second one, where the best tokens were too few
            if record.planned_s == record.sent_s:  # it was not planned for another time
                record.planned_s = exchange.sent_s
            record.sent_s = exchange.sent_s
        record.replied_s = exchange.replied_s
        record.request_bytes += exchange.request_bytes
        record.reply_bytes += exchange.reply_bytes
        record.frames, record.batch_frames = exchange.frames, exchange.batch_frames


def _note_reply(record: Record, reply: Reply) -> None:
    if (error := reply.exception()) is not None:
        record.replied_s = min(record.replied_s, perf_counter())
        record.error = type(error).__name__
