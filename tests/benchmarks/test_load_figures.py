"""Figures of a load, from records, statistics and samples made by hand."""

import pytest

from benchmarks.errors import LoadError
from benchmarks.load.figures import figures_of, padding_share, percentiles
from benchmarks.load.records import Record, Window
from benchmarks.load.scaling import Spread, concurrency_verdict, growth, ladder
from benchmarks.load.sending import CLOSED, OPEN
from benchmarks.load.soak import grown
from benchmarks.load.statistics import Counts, Statistics, role_of
from benchmarks.load.watch import Sample
from server.processes import Usage
from tests.client.support import CONTRACT

MS = 1_000_000  # nanoseconds


def record(planned_s=0.0, sent_s=None, replied_s=1.0, **more):
    sent_s = planned_s if sent_s is None else sent_s
    usual = {"duration_s": 10.0, "done_s": replied_s, "frames": 80, "batch_frames": 100}
    return Record(planned_s=planned_s, sent_s=sent_s, replied_s=replied_s, **(usual | more))


def samples(seconds=10.0, cpu_s=5.0):
    usage = Usage(0.0, 100_000_000)
    later = Usage(cpu_s, 150_000_000)
    return [
        Sample(0.0, usage, usage, {"encoder": 1.0}),
        Sample(seconds, later, later, {"encoder": 4.0}),
    ]


def figures(records, kind=CLOSED, window=(0.0, 10.0), statistics=None):
    return figures_of(records, Window(*window), statistics or Statistics({}), samples(), kind)


def test_throughput_is_the_audio_answered_in_the_window():
    found = figures([record(replied_s=float(each)) for each in range(1, 6)])
    assert (found.requests, found.audio_s, found.rtfx) == (5, 50.0, 5.0)
    assert found.requests_per_s == 0.5


def test_a_closed_loops_request_counts_with_its_share_of_time_in_the_window():
    before_and_in, in_and_after = record(-1.0, replied_s=1.0), record(9.0, replied_s=13.0)
    found = figures([before_and_in, in_and_after])
    assert found.audio_s == pytest.approx(10 * 0.5 + 10 * 0.25)
    assert found.requests == 1  # whose latency is counted


def test_a_closed_loops_warm_up_is_not_counted():
    assert figures([record(-3.0, replied_s=-1.0), record()]).audio_s == 10.0


def test_an_open_loops_latency_counts_requests_by_the_time_they_were_planned_for():
    # Under overload, what was planned in the window is answered long after it.
    late = record(9.0, replied_s=60.0)
    found = figures([record(-1.0, replied_s=1.0), record(1.0, replied_s=2.0), late], OPEN)
    assert found.latency_ms.p99 == 51_000
    assert found.latency_ms.p50 == 1_000
    assert found.requests == 2  # answered in it
    assert found.audio_s == 20.0


def test_latency_counts_from_the_planned_time_of_sending():
    found = figures([record(planned_s=1.0, sent_s=3.0, replied_s=3.5, done_s=3.75)], OPEN)
    assert found.latency_ms.p50 == 2_500
    assert found.transcript_ms.p50 == 2_750
    assert figures([record()]).transcript_ms is None


def test_errors_are_counted_by_type_and_give_no_throughput():
    bad = [record(error="DeadlineExceeded"), record(error="DeadlineExceeded")]
    found = figures([record(), *bad, record(error="ServerUnavailable")])
    assert found.errors == {"DeadlineExceeded": 2, "ServerUnavailable": 1}
    assert (found.failed, found.requests, found.audio_s) == (3, 1, 10.0)


@pytest.mark.parametrize(
    ("values", "p50", "p90", "p99"),
    [([7.0], 7, 7, 7), ([1.0, 2.0], 1, 2, 2), ([float(n) for n in range(1, 101)], 50, 90, 99)],
)
def test_a_percentile_is_a_value_that_was_measured(values, p50, p90, p99):
    found = percentiles(values)
    assert (found.p50, found.p90, found.p99) == (p50, p90, p99)


def test_there_are_no_percentiles_of_nothing():
    assert percentiles([]) is None
    assert figures([record(error="ServerError")]).latency_ms is None


@pytest.mark.parametrize(
    ("frames", "share"),
    [([(100, 100)], 0.0), ([(50, 100), (100, 100)], 0.25), ([], 0.0), ([(0, 0)], 0.0)],
)
def test_padding_is_the_frames_that_belong_to_nobody(frames, share):
    records = [record(frames=own, batch_frames=batch) for own, batch in frames]
    assert padding_share(records) == pytest.approx(share)


def test_bytes_and_cpu_time_are_for_each_second_of_audio():
    found = figures([record(request_bytes=320_000, reply_bytes=1_000)])
    assert (found.request_bytes_per_audio_s, found.reply_bytes_per_audio_s) == (32_000, 100)
    assert found.server.cpu_s_per_audio_s == found.client.cpu_s_per_audio_s == 0.5
    assert found.server_cpu_s_per_audio_s == {"encoder": pytest.approx(0.3)}
    assert (found.server.rss_first_mb, found.server.rss_last_mb) == (100, 150)


def test_stages_of_length_ranges_with_one_encoder_are_added_up():
    ranges = {
        name: Counts(10, 5, 10, total_ns=500 * MS, queue_ns=0, compute_ns=400 * MS)
        for name in ("m", "m_upto_4s")
    }
    steps = {
        name: Counts(10, 2, 10, 0, queue_ns=40 * MS, compute_ns=60 * MS)
        for name in ("m_preprocessor", "m_preprocessor_upto_4s")
    }
    encoder = {"m_encoder": Counts(20, 4, 20, 0, 100 * MS, 600 * MS)}
    statistics = Statistics(ranges | steps | encoder, frozenset(ranges))
    records = [record(replied_s=0.06, decode_s=0.002)]
    found = figures(records, statistics=statistics)
    assert found.stages_ms == {
        "queue": pytest.approx((40 + 40) / 20 + 100 / 20),
        "preprocessor": pytest.approx(6),
        "encoder": pytest.approx(30),
        "decoder": 0,
        "other": pytest.approx(50 - 9 - 6 - 30),
        "wire": pytest.approx(10),
        "decoding": pytest.approx(2),
    }
    assert found.mean_batch == {"m_encoder": 5, "m_preprocessor": 5, "m_preprocessor_upto_4s": 5}


def test_a_step_that_did_other_requests_than_the_ensemble_counts_by_its_own():
    # Long queues: in a short window the preprocessor has done twice as many as came out.
    counts = {
        "m": Counts(10, 10, 10, total_ns=1000 * MS),
        "m_preprocessor": Counts(20, 4, 20, 0, queue_ns=200 * MS, compute_ns=100 * MS),
    }
    found = figures([record()], statistics=Statistics(counts, frozenset(["m"])))
    assert (found.stages_ms["queue"], found.stages_ms["preprocessor"]) == (10, 5)


def test_only_models_that_worked_since_are_in_the_statistics():
    before = Statistics({"a_encoder": Counts(5, 5), "b_encoder": Counts(7, 7)})
    after = Statistics({"a_encoder": Counts(9, 6), "b_encoder": Counts(7, 7)})
    assert after.since(before).counts == {"a_encoder": Counts(4, 1)}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("m_encoder", "encoder"),
        ("m_preprocessor_upto_2.5s", "preprocessor"),
        ("my_encoder_decoder", "decoder"),
        ("m_decoders", "other"),
        ("m", "other"),
    ],
)
def test_a_models_role_is_in_its_name(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("cost", "verdict"),
    [
        (lambda t: 5 + 4 * t, "grows linearly up to 80 s"),
        (lambda t: 5 + 4 * t + 0.1 * t * t, "faster than linearly: the quadratic part is 66%"),
        (lambda t: 10 * t**0.5, "more slowly than linearly"),
    ],
)
def test_cost_against_length_is_judged(cost, verdict):
    lengths_s = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0]
    assert verdict in growth(lengths_s, [cost(t) for t in lengths_s]).verdict


def test_noise_is_no_quadratic_part():
    lengths_s = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0]
    noisy = [
        t * factor for t, factor in zip(lengths_s, (1, 1.3, 0.8, 1.2, 1, 0.8, 1.2), strict=True)
    ]
    assert "grows linearly" in growth(lengths_s, noisy).verdict


def test_a_curve_needs_points():
    with pytest.raises(LoadError, match="4 or more"):
        growth([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("medians", "verdict"),
    [
        ((50, 90, 100, 98), "no loss"),
        ((50, 90, 100, 60), "throughput falls from 16"),
        ((9,), "nothing"),
    ],
)
def test_throughput_under_pressure_is_judged(medians, verdict):
    levels = (1, 16, 64, 256)[: len(medians)]
    spreads = [Spread(value, value - 1, value + 1) for value in medians]
    assert concurrency_verdict(levels, spreads).startswith(verdict)


def test_lengths_double_up_to_the_models_longest():
    assert ladder(CONTRACT, 3600)[-1] == CONTRACT.max_samples / CONTRACT.sample_rate_hz
    assert ladder(CONTRACT, 1.5) == [1.0, 1.5]


def test_memory_that_settles_does_not_grow_and_a_leak_does():
    times_s = [float(second) for second in range(3600)]
    settled = grown(times_s, [min(500.0, 100.0 + second) for second in times_s])
    leak = grown(times_s, [100.0 + 200 * second / 3600 for second in times_s])
    creeping = grown(times_s, [100.0 + 20 * second / 3600 for second in times_s])
    assert settled.verdict == "does not grow"
    assert creeping.verdict == "grows by less than 30 MB an hour"
    assert leak.verdict == "grows"
    assert leak.mb_per_hour == pytest.approx(200)


def test_memory_that_moves_more_than_it_grows_asks_for_more_time():
    times_s = [float(second) for second in range(900)]
    memory_mb = [100.0 + 20 * (second // 120 % 2) for second in times_s]
    assert "soak longer" in grown(times_s, memory_mb).verdict


def test_a_short_soak_says_that_it_cannot_tell():
    times_s = [float(second) for second in range(60)]
    for memory_mb in ([100.0] * 60, [100.0 + second for second in times_s]):
        assert "soak longer" in grown(times_s, memory_mb).verdict
    with pytest.raises(LoadError, match="soak longer"):
        grown([1.0, 2.0], [1.0, 2.0])
