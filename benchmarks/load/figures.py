"""What a load says: a pure function of its records, the server's statistics and resource samples.

Nothing is sent, read or printed here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

import numpy as np

from benchmarks.load.records import Record, Window
from benchmarks.load.sending import CLOSED
from benchmarks.load.statistics import ENSEMBLE, STEPS, Counts, Statistics, role_of, total
from benchmarks.load.watch import Sample
from server.processes import Usage

STAGES: Final = ("queue", *STEPS, "other", "wire", "decoding")
"""Where a request's time goes, in the order in which charts stack it."""
PERCENTILES: Final = (50, 90, 95, 99)
_MEGA: Final = 1e6


@dataclass(frozen=True)
class Latency:
    """Milliseconds: the mean, and what that percentage of requests does not exceed."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True)
class SideUse:
    """CPU seconds for each second of audio, and resident memory first and last, in MB."""

    cpu_s_per_audio_s: float
    rss_first_mb: float
    rss_last_mb: float


@dataclass(frozen=True)
class Figures:
    """One load in figures.

    ``latency_ms`` is from the planned sending to the answer, ``transcript_ms`` to the transcript
    (only in an open loop: a closed one gives results in the order of its items). ``stages_ms`` is
    where a request's time goes in the mean. What could not be seen from here is ``None`` or empty.
    """

    wall_s: float
    requests: int
    failed: int
    errors: Mapping[str, int]
    audio_s: float
    rtfx: float
    requests_per_s: float
    latency_ms: Latency | None
    transcript_ms: Latency | None
    request_bytes_per_audio_s: float
    reply_bytes_per_audio_s: float
    padding_share: float
    mean_batch: Mapping[str, float]
    stages_ms: Mapping[str, float]
    client: SideUse
    server: SideUse | None = None
    server_cpu_s_per_audio_s: Mapping[str, float] = field(default_factory=dict)
    gpu_share: float | None = None
    gpu_memory_mb: float | None = None


def figures_of(
    records: Sequence[Record],
    window: Window,
    statistics: Statistics,
    samples: Sequence[Sample],
    kind: str,
) -> Figures:
    """The figures of a load of this ``kind`` in ``window``.

    ``statistics`` is what the server counted in it, ``samples`` are first to last.
    """
    answered = window.answered(records)
    counted = answered if kind == CLOSED else window.planned(records)
    good = [each for each in answered if each.error is None]
    timed = [each for each in counted if each.error is None]
    errors = Counter(each.error for each in counted if each.error is not None)
    audio_s, requests = _done(records, window, kind)
    good_s = sum(each.duration_s for each in good)
    client, server, by_role = _use(samples, audio_s)
    gpu_shares = [each.gpu_share for each in samples if each.gpu_share is not None]
    gpu_memory_mb = [each.gpu_memory_mb for each in samples if each.gpu_memory_mb is not None]
    return Figures(
        wall_s=window.wall_s,
        requests=len(good),
        failed=errors.total(),
        errors=dict(errors),
        audio_s=audio_s,
        rtfx=_ratio(audio_s, window.wall_s),
        requests_per_s=_ratio(requests, window.wall_s),
        latency_ms=percentiles([1000 * each.latency_s for each in timed]),
        transcript_ms=(
            None if kind == CLOSED else percentiles([1000 * each.transcript_s for each in timed])
        ),
        request_bytes_per_audio_s=_ratio(sum(each.request_bytes for each in good), good_s),
        reply_bytes_per_audio_s=_ratio(sum(each.reply_bytes for each in good), good_s),
        padding_share=padding_share(good),
        mean_batch=mean_batches(statistics),
        stages_ms=stages_ms(good, statistics),
        client=client,
        server=server,
        server_cpu_s_per_audio_s=by_role,
        gpu_share=fmean(gpu_shares) if gpu_shares else None,
        gpu_memory_mb=max(gpu_memory_mb, default=None),
    )


def _done(records: Sequence[Record], window: Window, kind: str) -> tuple[float, float]:
    """Seconds of audio and requests that were done in the window.

    In a closed loop, as many are always in flight, and those at either end count with their share
    in it. In an open one the queue may grow, and only an answer is work done.
    """
    if kind == CLOSED:
        shares = [(window.share(each), each) for each in records if each.error is None]
    else:
        shares = [(1.0, each) for each in window.answered(records) if each.error is None]
    return sum(share * each.duration_s for share, each in shares), sum(share for share, _ in shares)


def percentiles(values_ms: Sequence[float]) -> Latency | None:
    """The latency of some requests; ``None`` of none.

    A percentile is the least value that so many do not exceed, and so one that was measured.
    """
    if not values_ms:
        return None
    at = [float(np.percentile(values_ms, q, method="inverted_cdf")) for q in PERCENTILES]
    return Latency(float(np.mean(values_ms)), *at)


def padding_share(records: Sequence[Record]) -> float:
    """The share of the computed frames that belong to no utterance."""
    return 1 - _ratio(
        sum(each.frames for each in records), sum(each.batch_frames for each in records), 1.0
    )


def mean_batches(statistics: Statistics) -> dict[str, float]:
    """Utterances in a batch of each model that computes."""
    return {
        name: counts.inferences / counts.executions
        for name, counts in sorted(statistics.counts.items())
        if name not in statistics.ensembles and counts.executions
    }


def encoder_batch(batches: Mapping[str, float]) -> float | None:
    """The encoder's among ``mean_batches``; ``None`` unless there is one encoder."""
    found = [batch for name, batch in batches.items() if role_of(name) == "encoder"]
    return found[0] if len(found) == 1 else None


def stages_ms(records: Sequence[Record], statistics: Statistics) -> dict[str, float]:
    """Where a request's time goes in the mean, in the milliseconds of ``STAGES``.

    Of the server's own statistics are the queues and the steps; ``other`` is what an ensemble takes
    beyond them; ``wire`` is what the client waits beyond the ensemble: gRPC, network, and the
    client's own threads. ``decoding`` is CPU time of the client's, after the answer. Empty when
    the server counted nothing.
    """
    ensembles = total(statistics.of(ENSEMBLE))
    if not ensembles.successes or not records:
        return {}
    # At the window's ends a step has done other requests than the ensemble: each by its own count.
    steps = {role: total(statistics.of(role)) for role in STEPS}
    ms = {
        "queue": sum(_each_ms(counts, counts.queue_ns) for counts in (ensembles, *steps.values())),
        **{role: _each_ms(counts, counts.compute_ns) for role, counts in steps.items()},
    }
    total_ms = _each_ms(ensembles, ensembles.total_ns)
    ms["other"] = max(0.0, total_ms - sum(ms.values()))
    waited_ms = 1000 * sum(each.replied_s - each.sent_s for each in records) / len(records)
    ms["wire"] = max(0.0, waited_ms - total_ms)
    decoded_s = sum(each.decode_s for each in records if each.decode_s is not None)
    ms["decoding"] = 1000 * decoded_s / len(records)
    return {stage: ms[stage] for stage in STAGES}


def _each_ms(counts: Counts, time_ns: int) -> float:
    """Milliseconds of a request, of a time that was counted for all."""
    return _ratio(time_ns / _MEGA, counts.successes)


def _use(
    samples: Sequence[Sample], audio_s: float
) -> tuple[SideUse, SideUse | None, dict[str, float]]:
    first, last = samples[0], samples[-1]
    server = None
    if first.server is not None and last.server is not None:
        server = _side(first.server, last.server, audio_s)
    by_role = {
        role: _ratio(seconds - first.server_cpu_s.get(role, 0.0), audio_s)
        for role, seconds in last.server_cpu_s.items()
    }
    return _side(first.client, last.client, audio_s), server, by_role


def _side(first: Usage, last: Usage, audio_s: float) -> SideUse:
    return SideUse(
        _ratio(last.cpu_s - first.cpu_s, audio_s), first.rss_bytes / _MEGA, last.rss_bytes / _MEGA
    )


def _ratio(above: float, below: float, otherwise: float = 0.0) -> float:
    return above / below if below else otherwise
