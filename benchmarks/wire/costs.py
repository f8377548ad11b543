"""Bytes, processor time and latency of ways, which take turns in one run.

Flow: ways → :func:`bytes_of` through a counting relay, and :func:`time_in_blocks`, in which every
way sends some requests, one at a time, again and again → :func:`summarise` → one :class:`Cost` for
each way, of medians and of differences within the same round.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Final

from benchmarks.load.loop import Target
from benchmarks.load.resources import Sample
from benchmarks.measurement import quartiles
from benchmarks.wire.caller import Caller
from benchmarks.wire.relay import Relay
from benchmarks.wire.ways import Way
from client.audio import Pcm

COUNTED: Final = 5
"""Requests whose bytes are counted: what gRPC says beside them is in it, opening is not."""
WARMUPS: Final = 3
_ENCODER: Final = "encoder"


@dataclass(frozen=True)
class Pace:
    """How much is measured: ``rounds`` of blocks of ``requests`` for each way."""

    rounds: int
    requests: int


@dataclass(frozen=True)
class Block:
    """Requests of one way in one round; all times for one request.

    ``wire_ms`` is the server's processor time without the encoder's process, whose work is the
    same in every way and whose noise would hide the rest.
    """

    latency_ms: float
    client_ms: float
    server_ms: float
    wire_ms: float


@dataclass(frozen=True)
class Extra:
    """Differences to another way in the same round: their median and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What a way costs. Bytes are for a second of audio; times for a request, medians of rounds.

    ``extra`` holds the differences to the way ``against``, by the names of :class:`Block`.
    """

    name: str
    against: str
    sent_bytes_per_s: float
    received_bytes_per_s: float
    latency_ms: float
    client_ms: float
    server_ms: float
    wire_ms: float
    extra: Mapping[str, Extra]


def costs(
    target: Target, ways: Sequence[Way], samples: Pcm, rate_hz: int, pace: Pace
) -> list[Cost]:
    """What each way costs for one utterance ``samples``, int16 [N]."""
    counted = {way.name: bytes_of(target, way, samples) for way in ways}
    blocks = time_in_blocks(target, ways, samples, pace)
    return summarise(ways, counted, blocks, len(samples) / rate_hz)


def bytes_of(target: Target, way: Way, samples: Pcm) -> tuple[float, float]:
    """Bytes of a request and of its reply on the wire, headers and framing included."""
    with Relay(target.url) as relay, Caller(relay.url, target.model, way) as caller:
        audio = caller.prepare(samples)
        for _ in range(WARMUPS):
            caller.call(audio)
        sent, received = relay.sent_bytes, relay.received_bytes
        for _ in range(COUNTED):
            caller.call(audio)
        return (
            (relay.sent_bytes - sent) / COUNTED,
            (relay.received_bytes - received) / COUNTED,
        )


def time_in_blocks(
    target: Target, ways: Sequence[Way], samples: Pcm, pace: Pace
) -> dict[str, list[Block]]:
    """Blocks of every way, one for each round; each round begins with another way."""
    blocks: dict[str, list[Block]] = {way.name: [] for way in ways}
    with ExitStack() as open_callers:
        jobs = {}
        for way in ways:
            caller = open_callers.enter_context(Caller(target.url, target.model, way))
            audio = caller.prepare(samples)
            jobs[way.name] = lambda caller=caller, audio=audio: caller.call(audio)
            for _ in range(WARMUPS):
                caller.call(audio)
        names = list(jobs)
        for number in range(pace.rounds):
            start = number % len(names)
            for name in names[start:] + names[:start]:
                block = _block(jobs[name], target.probe.resources, pace.requests)
                blocks[name].append(block)
    return blocks


def _block(job: Callable[[], object], look: Callable[[float], Sample], requests: int) -> Block:
    before = look(perf_counter())
    own_s = time.process_time()
    latencies_s = []
    for _ in range(requests):
        start_s = perf_counter()
        job()
        latencies_s.append(perf_counter() - start_s)
    own_s = time.process_time() - own_s
    after = look(perf_counter())
    used_s = {role: total - before.server_cpu_s[role] for role, total in after.server_cpu_s.items()}
    server_s = sum(used_s.values())
    return Block(
        latency_ms=1000 * statistics.median(latencies_s),
        client_ms=1000 * own_s / requests,
        server_ms=1000 * server_s / requests,
        wire_ms=1000 * (server_s - used_s[_ENCODER]) / requests,
    )


def summarise(
    ways: Sequence[Way],
    counted: Mapping[str, tuple[float, float]],
    blocks: Mapping[str, Sequence[Block]],
    audio_s: float,
) -> list[Cost]:
    """One cost for each way, from requests of ``audio_s`` seconds."""
    return [_cost(way, counted[way.name], blocks, audio_s) for way in ways]


def _cost(
    way: Way, counted: tuple[float, float], blocks: Mapping[str, Sequence[Block]], audio_s: float
) -> Cost:
    own = _by_field(blocks[way.name])
    other = _by_field(blocks[way.against]) if way.against else {}
    sent_bytes, received_bytes = counted
    return Cost(
        name=way.name,
        against=way.against,
        sent_bytes_per_s=sent_bytes / audio_s,
        received_bytes_per_s=received_bytes / audio_s,
        **{field: statistics.median(values) for field, values in own.items()},
        extra={field: _extra(own[field], values) for field, values in other.items()},
    )


def _by_field(blocks: Iterable[Block]) -> dict[str, list[float]]:
    """The values of each field, round by round."""
    found: dict[str, list[float]] = {}
    for block in blocks:
        for field, value in asdict(block).items():
            found.setdefault(field, []).append(value)
    return found


def _extra(own: Sequence[float], other: Sequence[float]) -> Extra:
    differences = [one - two for one, two in zip(own, other, strict=True)]
    return Extra(statistics.median(differences), *quartiles(differences))
