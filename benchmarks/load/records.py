"""What is kept of one request, and of the time in which requests are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NEVER_S: Final = float("inf")


@dataclass
class Record:
    """One request, under way, answered or failed. Times are :func:`time.perf_counter`'s.

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
        """How much of the record's time under way lies within it, 0 to 1.

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
