"""Overload for a time: what the server still answers, what it rejects, how it recovers.

Three loads without a break, each request with a deadline: a closed loop, whose rate is the
capacity; an open one at several times that; and a light one, in which everything must soon be well
again. Answers are not decoded: the client is to be no limit. The figures are a pure function of the
requests' records.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Final

from benchmarks.errors import LoadError
from benchmarks.load.figures import Latency, percentiles
from benchmarks.load.loop import Target
from benchmarks.load.records import Record, Recorder, Window
from benchmarks.load.sending import Utterances, poisson_times
from client.audio import Pcm
from client.errors import DeadlineExceeded
from client.wire.contract import TOKENS

EXPIRED: Final = DeadlineExceeded.__name__
LEAST_GOODPUT: Final = 0.9
LEAST_OFFERED: Final = 0.9
"""Of what was planned: a client that sends less, too slow or short of processor, proves nothing."""
MOST_REFUSAL_S: Final = 1.0
MOST_RECOVERY_S: Final = 5.0
_OPEN_MOST: Final = 1 << 16  # the server is to do the refusing


@dataclass(frozen=True)
class Plan:
    """The three loads; rates of the last two are multiples of the capacity."""

    in_flight: int = 32
    capacity_s: float = 20.0
    warmup_s: float = 3.0
    times: float = 4.0
    overload_s: float = 120.0
    calm_share: float = 0.5
    calm_s: float = 20.0
    timeout_s: float = 5.0
    """A request's deadline: an answer after it is of no use."""
    queue_bound_s: float = 0.0
    """How long a queue holds what it refuses in the end: 0 where a full one refuses at once."""
    calm_latency_s: float = 1.0
    """What an answer may take once the overload is over and dealt with."""
    seed: int = 0


@dataclass(frozen=True)
class Loads:
    """The records of the three loads and when each was put on, by ``time.perf_counter``."""

    capacity: Window
    overload: Window
    calm: Window
    records: Sequence[Record]


@dataclass(frozen=True)
class Figures:
    """What became of an overload. Rates are requests a second, ``goodput_share`` of the capacity.

    ``offered_share`` is what was sent in time, of what was planned. ``goodput_per_s`` is what was
    answered before its deadline, counted from the planned time of sending.
    ``refused_ms`` is how fast refusals came, of those that were not for want of time: these are
    ``expired``. ``recovery_s`` is how long after the overload the last request was sent that failed
    or was late.
    """

    capacity_per_s: float
    offered_per_s: float
    offered_share: float
    goodput_per_s: float
    goodput_share: float
    answered_ms: Latency | None
    refused: int
    refused_ms: Latency | None
    refused_most_ms: float
    expired: int
    errors: Mapping[str, int]
    recovery_s: float
    holds: bool


def apply_load(target: Target, utterances: Utterances, plan: Plan) -> Loads:
    """Put the three loads on the server.

    Raises ``LoadError`` when it answers nothing or died, and the client's errors when it
    cannot be connected with.
    """
    recorder = Recorder(target.url, target.model, plan.timeout_s, _OPEN_MOST)
    try:
        start_s = perf_counter() + plan.warmup_s
        capacity = Window(start_s, start_s + plan.capacity_s)
        _closed(recorder, utterances, plan, capacity.end_s)
        capacity_per_s = rate_in(recorder.records(), capacity)
        if not capacity_per_s:
            raise LoadError("no request was answered in time: give --timeout more seconds")
        start_s = perf_counter()
        overload = Window(start_s, start_s + plan.overload_s)
        calm = Window(overload.end_s, overload.end_s + plan.calm_s)
        times = [
            *_times(plan.times * capacity_per_s, overload, plan.seed),
            *_times(plan.calm_share * capacity_per_s, calm, plan.seed + 1),
        ]
        _open(recorder, utterances, times, plan)
        target.check()
        return Loads(capacity, overload, calm, recorder.records())
    finally:
        recorder.close()


def figures_of(loads: Loads, plan: Plan) -> Figures:
    """What the records say."""
    sent = loads.overload.planned(loads.records)
    good = [each for each in sent if each.error is None]
    refused = [each for each in sent if each.error not in (None, EXPIRED)]
    capacity_per_s = rate_in(loads.records, loads.capacity)
    window = loads.overload
    offered = sum(window.start_s <= each.sent_s <= window.end_s for each in sent)
    in_time = [each for each in loads.records if each.latency_s <= plan.timeout_s]
    goodput_per_s = rate_in(in_time, window)
    offered_share = offered / len(sent) if sent else 0.0
    share = goodput_per_s / capacity_per_s
    # From when it was sent: a client that lags behind its plan says nothing of the server.
    refused_s = [each.replied_s - each.sent_s for each in refused]
    refused_ms = percentiles([1000 * value for value in refused_s])
    recovery_s = _recovery_s(loads, plan)
    late_s = refused_ms.p99 / 1000 - plan.queue_bound_s if refused_ms else 0.0
    return Figures(
        capacity_per_s=capacity_per_s,
        offered_per_s=offered / window.wall_s,
        offered_share=offered_share,
        goodput_per_s=goodput_per_s,
        goodput_share=share,
        answered_ms=percentiles([1000 * each.latency_s for each in good]),
        refused=len(refused),
        refused_ms=refused_ms,
        refused_most_ms=1000 * max(refused_s, default=0.0),
        expired=sum(each.error == EXPIRED for each in sent),
        errors=dict(Counter(each.error for each in sent if each.error is not None)),
        recovery_s=recovery_s,
        holds=(
            offered_share >= LEAST_OFFERED
            and share >= LEAST_GOODPUT
            and late_s <= MOST_REFUSAL_S
            and recovery_s <= MOST_RECOVERY_S
        ),
    )


def rate_in(records: Sequence[Record], window: Window) -> float:
    """Requests answered in the window, a second."""
    answered = [each for each in window.answered(records) if each.error is None]
    return len(answered) / window.wall_s


def _recovery_s(loads: Loads, plan: Plan) -> float:
    bad = [
        each.planned_s - loads.calm.start_s
        for each in loads.calm.planned(loads.records)
        if each.error is not None or each.latency_s > plan.calm_latency_s
    ]
    return max(bad, default=0.0)


def _times(rate: float, window: Window, seed: int) -> list[float]:
    return [window.start_s + each for each in poisson_times(rate, window.wall_s, seed)]


def _closed(recorder: Recorder, utterances: Utterances, plan: Plan, end_s: float) -> None:
    """Keep so many in flight until then, and wait for the last."""
    free = threading.Semaphore(plan.in_flight)
    for samples in utterances.endless(plan.seed):
        free.acquire()
        if perf_counter() >= end_s:
            break
        _submit(recorder, samples, None, free)
    for _ in range(plan.in_flight - 1):
        free.acquire()


def _open(recorder: Recorder, utterances: Utterances, times: Sequence[float], plan: Plan) -> None:
    """Send at these times, and wait for the last: each has a deadline."""
    done = threading.Semaphore(0)
    for planned_s, samples in zip(times, utterances.endless(plan.seed), strict=False):
        sleep(max(0.0, planned_s - perf_counter()))
        _submit(recorder, samples, planned_s, done)
    for _ in times:
        done.acquire()


def _submit(
    recorder: Recorder, samples: Pcm, planned_s: float | None, done: threading.Semaphore
) -> None:
    """Send one; ``done`` counts those whose record is complete."""

    def finish(_: object) -> None:
        sent.done_s = sent.replied_s
        done.release()

    reply = recorder.submit(samples, TOKENS)
    sent = recorder.sent[-1]
    if planned_s is not None:
        sent.planned_s = planned_s
    reply.add_done_callback(finish)
