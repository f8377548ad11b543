"""Loads on a scripted server that stalls, fails, or is gone."""

import threading
import time

import grpc
import pytest

from benchmarks.errors import LoadError
from benchmarks.load import loop, soak, watch
from benchmarks.load.loop import LoadOptions, Target, run_load
from benchmarks.load.sending import CLOSED, OPEN, Choice, Level, choose
from benchmarks.load.statistics import Statistics
from benchmarks.load.sweep import Run
from benchmarks.load.watch import Probe, Resources
from client.decoding import BeamOptions
from tests.client.support import CONTRACT, infer_reply, scripted_server

QUICK = LoadOptions(seconds=0.4, warmup_s=0.1, timeout_s=10)


def target(url, check=lambda: None):
    probe = Probe(lambda: Statistics({}), Resources(None).sample)
    return Target(url, "demo", probe, check)


def apply_load(url, level, options=QUICK, **more):
    utterances = choose(Choice("uniform:0.1:0.3", count=5), CONTRACT)
    return run_load(target(url, **more), utterances, level, options)


@pytest.mark.parametrize("level", [Level(CLOSED, 3), Level(OPEN, 50.0)])
def test_every_request_is_recorded_with_its_audio_bytes_and_frames(level):
    with scripted_server() as url:
        outcome = apply_load(url, level)
    assert outcome.records
    for each in outcome.records:
        assert each.error is None
        assert each.planned_s <= each.sent_s <= each.replied_s <= each.done_s
        assert each.request_bytes == 2 * round(each.duration_s * 16000)
        assert (each.frames, each.batch_frames) == (6, 8)
        assert each.reply_bytes > 0
        assert each.decode_s is not None


def test_answers_in_another_order_are_recorded_with_their_requests():
    def shortest_last(request, _):
        time.sleep(0.05 if len(request.raw_input_contents[0]) < 6000 else 0)  # 3,000 samples
        return infer_reply()

    with scripted_server(shortest_last) as url:
        outcome = apply_load(url, Level(CLOSED, 4))
    replied_s = [each.replied_s for each in outcome.records]
    assert replied_s != sorted(replied_s)
    for each in outcome.records:
        assert each.request_bytes == 2 * round(each.duration_s * 16000)


@pytest.mark.parametrize("level", [Level(CLOSED, 2), Level(OPEN, 100.0)])
def test_exactly_so_many_requests_are_measured(level):
    with scripted_server() as url:
        outcome = apply_load(url, level, LoadOptions(requests=7, warmup_s=0.05))
    window = outcome.watched.window
    assert len([each for each in outcome.records if each.planned_s >= window.start_s]) == 7


def test_processes_decode_too():
    options = LoadOptions(seconds=0.3, warmup_s=0.1, decoder=BeamOptions(beam_width=2), threads=1)
    with scripted_server() as url:
        outcome = apply_load(url, Level(OPEN, 30.0), options)
    assert {each.error for each in outcome.records} == {None}
    assert all(each.decode_s > 0 for each in outcome.records)


def test_a_stalled_server_costs_those_latency_who_wanted_something_meanwhile():
    stall = threading.Event()
    threading.Timer(0.35, stall.set).start()

    def stalled(*_):
        stall.wait()
        return infer_reply()

    with scripted_server(stalled) as url:
        outcome = apply_load(url, Level(OPEN, 60.0))
    planned = [each.planned_s for each in outcome.records]
    answered_s = min(each.replied_s for each in outcome.records)
    during = [each for each in outcome.records if each.planned_s < answered_s]
    # A closed loop of one would have sent one request meanwhile.
    assert len(during) > 5
    assert all(each.latency_s >= answered_s - each.planned_s for each in during)
    assert max(planned) - min(planned) < QUICK.seconds + QUICK.warmup_s


def test_a_client_that_sends_late_does_not_hide_it(monkeypatch):
    submit = loop.Recorder.submit

    def late(self, samples, output):
        if not self.sent:
            time.sleep(0.3)
        return submit(self, samples, output)

    monkeypatch.setattr(loop.Recorder, "submit", late)
    with scripted_server() as url:
        outcome = apply_load(url, Level(OPEN, 60.0))
    first, *others = outcome.records
    assert first.latency_s >= 0.3
    delayed = [each for each in others if each.planned_s < first.sent_s]
    assert delayed
    assert all(each.planned_s < first.sent_s <= each.sent_s for each in delayed)


@pytest.mark.parametrize("level", [Level(CLOSED, 4), Level(OPEN, 200.0)])
def test_a_server_that_is_gone_ends_the_load_at_once(level):
    def gone():
        raise LoadError("the server died")

    def refuse(_, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    with (
        scripted_server(refuse) as url,
        pytest.raises(LoadError, match="the server died"),
    ):
        apply_load(url, level, LoadOptions(seconds=60, warmup_s=0.1), check=gone)


def test_a_server_that_is_up_and_answers_nothing_ends_the_load_too(monkeypatch):
    monkeypatch.setattr(loop, "FAILING_S", 0.2)

    def fail(_, context):
        context.abort(grpc.StatusCode.INTERNAL, "Stub process is not healthy")

    with (
        scripted_server(fail) as url,
        pytest.raises(LoadError, match=r"every request failed .* not healthy"),
    ):
        apply_load(url, Level(CLOSED, 4), LoadOptions(seconds=60, warmup_s=0.1))


def test_overload_that_lets_some_through_is_measured_with_its_errors():
    turn = iter(range(10**6))

    def overloaded(_, context):
        if next(turn) % 3 == 0:
            return infer_reply()
        return context.abort(grpc.StatusCode.UNAVAILABLE, "queue full")

    with scripted_server(overloaded) as url:
        outcome = apply_load(url, Level(CLOSED, 2))
    assert {each.error for each in outcome.records} == {None, "ServerUnavailable"}


def test_a_soak_whose_server_dies_keeps_what_was_measured(monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.02)
    monkeypatch.setattr(soak, "PIECE_S", 0.3)
    dead = threading.Event()

    def mortal(_, context):
        if dead.is_set():
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return infer_reply()

    def check():
        raise LoadError("the server died")

    utterances = choose(Choice("uniform:0.1:0.3", count=5), CONTRACT)
    with scripted_server(mortal) as url:
        run = Run(target(url, check), utterances, QUICK)
        found = soak.soak(run, Level(CLOSED, 2), 60.0, tell=lambda _: dead.set())
    assert found.ended == "the server died"
    assert len(found.pieces) == 1
    assert max(found.at_s) < 1
    assert found.summary()["pieces"] == 1
    assert found.memory_mb["client"][0] > 0


def test_a_load_in_which_nothing_is_answered_is_no_figure():
    stuck = threading.Event()

    def never(*_):
        stuck.wait(5)
        return infer_reply()

    options = LoadOptions(seconds=0.2, warmup_s=0.1, timeout_s=0.5)
    with scripted_server(never) as url:
        with pytest.raises(LoadError, match="DeadlineExceeded"):
            apply_load(url, Level(CLOSED, 1), options)
        stuck.set()
