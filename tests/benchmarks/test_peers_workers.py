"""Peers in processes of their own: real processes, and an engine that does as it is told."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.errors import PeerError
from benchmarks.peers import contest
from benchmarks.peers.audio import Audio
from benchmarks.peers.contest import compare, until_idle
from benchmarks.peers.entries import NEMO, Entry, Task, one_by_one
from benchmarks.peers.processes import Start, Worker
from server.processes import family, machine_s, used_s

ENGINE = "tests.benchmarks.peer_engine"
FILES = ["a.wav", "b.wav"]


def start(settings=None, threads=1, engine=ENGINE, python=sys.executable):
    return Start(Path(python), engine, settings or {}, threads)


@pytest.fixture(scope="module")
def worker():
    with Worker("peer", start()) as running:
        yield running


def test_a_worker_tells_its_versions_and_answers_in_order_whatever_the_peer_prints(worker):
    assert set(worker.versions) == {"numpy"}
    assert worker.transcribe(FILES, {}) == FILES
    assert worker.transcribe(FILES[:1], {"text": "naïve ▁"}) == ["naïve ▁"]


def test_a_peer_that_fails_says_why_and_can_be_asked_again(worker):
    with pytest.raises(PeerError, match="peer: ValueError: no such input"):
        worker.transcribe(FILES, {"error": "no such input"})
    assert worker.transcribe(FILES, {}) == FILES


def test_a_peer_that_leaves_out_a_file_is_not_believed(worker):
    with pytest.raises(PeerError, match="0 texts of 2 files"):
        worker.transcribe(FILES, {"forget": True})


@pytest.mark.parametrize("fact", ["cpus", "threads"])
def test_a_worker_has_as_many_cpus_and_threads_as_it_was_given(worker, fact):
    assert worker.transcribe(FILES[:1], {"tell": fact}) == ["1"]


def test_the_last_words_of_a_peer_that_dies_are_kept():
    with Worker("peer", start()) as worker:
        with pytest.raises(PeerError, match=r"its process ended.*first words / last words"):
            worker.transcribe(FILES, {"die": True})
        with pytest.raises(PeerError, match="its process ended"):
            worker.transcribe(FILES, {})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (start({"refuse": "no metadata"}), "RuntimeError: no metadata"),
        (start(engine="no.such.engine"), "ModuleNotFoundError"),
        (start(python="/nowhere/bin/python"), "no environment with /nowhere/bin/python"),
    ],
)
def test_a_peer_that_does_not_load_is_an_error_with_its_reason(how, message):
    with pytest.raises(PeerError, match=message):
        Worker("peer", how)


def test_a_closed_worker_is_gone():
    with closing(Worker("peer", start())) as worker:
        pid = worker._process.pid
        assert used_s(pid) > 0
    assert family(pid) == [pid]
    assert used_s(pid) == 0


def test_cpu_time_is_counted_and_an_idle_worker_has_none(worker):
    until_idle([worker])
    before_s, machine_before_s = worker.cpu_s(), machine_s()
    worker.transcribe(FILES, {"burn_s": 0.3})
    assert 0.25 <= worker.cpu_s() - before_s <= 0.4
    assert machine_s() - machine_before_s >= 0.2


def test_a_busy_loop_that_goes_on_after_the_answer_is_waited_for(worker):
    worker.transcribe(FILES, {"burn_later_s": 0.5})
    before_s = worker.cpu_s()
    until_idle([worker])
    assert worker.cpu_s() - before_s >= 0.3


def test_a_busy_loop_without_end_is_an_error(worker, monkeypatch):
    monkeypatch.setattr(contest, "_IDLE_TIMEOUT_S", 0.5)
    worker.transcribe(FILES, {"burn_later_s": 2})
    with pytest.raises(PeerError, match="still busy"):
        until_idle([worker])


def test_peers_are_compared_with_nemo_and_with_themselves_one_by_one():
    nemo = Entry("nemo", NEMO, start(), [Task(one_by_one(NEMO), {"text": "go on"}, alone=True)])
    tasks = [
        Task("one", {"text": "go on"}, alone=True),
        Task("many", {"text": "go"}, timed=False),
        Task("broken", {"error": "wants a batch of 1"}),
    ]
    peer = Entry("peer", "peer", start(), tasks)
    missing = Entry("missing", "missing", start(python="/nowhere/python"), tasks)
    test = Audio(("t.wav",), 1.0, ("go on",))
    found = compare([nemo, peer, missing], Audio(("a.wav", "b.wav"), 60.0), test, rounds=2)

    assert [pace.task for pace in found.paces] == [one_by_one(NEMO), "one"]
    for pace in found.paces:
        assert (pace.speed.runs, pace.from_nemo) == (2, 0.0)
        assert pace.speed.rtfx == pytest.approx(60 / pace.speed.wall_median_s)
    rows = {each.task: (each.errors, each.changed, each.as_nemo) for each in found.accuracies}
    assert rows == {one_by_one(NEMO): (0, 0.0, 1.0), "one": (0, 0.0, 1.0), "many": (1, 1.0, 0.0)}
    assert set(found.versions) == {NEMO, "peer"}
    assert found.left_out["broken"] == "peer: ValueError: wants a batch of 1"
    assert "no environment" in found.left_out["missing"]
