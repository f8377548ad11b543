"""What is made of times: on a clock that the test turns, so that every figure is known."""

from functools import partial

import pytest

from benchmarks.measurement import Run, summarise, time_in_turns


def test_jobs_take_turns_after_untimed_runs_and_none_always_follows_the_same():
    order = []
    walls_s = {"a": [9, 1, 2], "b": [9, 3, 4]}
    passed_s = []  # time passes only when a job takes it

    def work(name):
        order.append(name)
        passed_s.append(walls_s[name].pop(0))

    jobs = {name: partial(work, name) for name in walls_s}
    runs = time_in_turns(jobs, repeats=2, warmups=1, clock=lambda: sum(passed_s))
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert runs == [Run("a", 1), Run("b", 3), Run("b", 4), Run("a", 2)]


def test_what_a_run_leaves_behind_is_settled_before_the_next_untimed():
    order = []
    jobs = {name: partial(order.append, name) for name in ("a", "b")}
    clock = partial(len, order)  # an entry is a second
    runs = time_in_turns(jobs, 1, 0, clock, settle=lambda: order.append("settle"))
    assert order == ["settle", "a", "settle", "b"]
    assert runs == [Run("a", 1), Run("b", 1)]


def test_speed_is_audio_over_the_median_run_and_its_quartiles():
    walls_s = (5.0, 1.0, 2.0, 4.0, 3.0)
    (speed,) = summarise([Run("a", wall_s) for wall_s in walls_s], audio_s=12)
    assert (speed.runs, speed.wall_median_s) == (5, 3)
    assert (speed.rtfx, speed.rtfx_low, speed.rtfx_high) == (4, 3, 6)


def test_ratios_are_of_medians_to_the_first_job():
    runs = [Run("fp32", 2.0), Run("int8", 0.5), Run("int8", 80.0), Run("fp32", 2.0)]
    runs += [Run("int8", 0.5), Run("fp32", 90.0)]
    assert {speed.name: speed.ratio for speed in summarise(runs, audio_s=1)} == {
        "fp32": 1.0,
        "int8": 4.0,
    }


def test_one_run_is_its_own_median_and_quartiles():
    (speed,) = summarise([Run("a", 0.5)], audio_s=1)
    assert speed.rtfx == speed.rtfx_low == speed.rtfx_high == 2


@pytest.mark.parametrize("jobs", [{}, {"a": lambda: None}])
def test_no_rounds_and_no_jobs_are_no_runs(jobs):
    runs = time_in_turns(jobs, repeats=0)
    assert runs == []
    assert summarise(runs, audio_s=1) == []
