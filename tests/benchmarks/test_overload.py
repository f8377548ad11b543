"""What is made of an overload's records, and the command on a real server."""

import json
from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.load.overload import Loads, Plan, figures_of
from benchmarks.load.records import Record, Window

PLAN = Plan(capacity_s=10, overload_s=10, calm_s=10, timeout_s=2, calm_latency_s=0.5)
CAPACITY, OVERLOAD, CALM = Window(0, 10), Window(10, 20), Window(20, 30)


def requests(window, count, latency_s, error=None):
    """So many at even times."""
    step_s = window.wall_s / count
    times = [window.start_s + (number + 0.25) * step_s for number in range(count)]
    return [
        Record(
            duration_s=1.0,
            planned_s=at_s,
            sent_s=at_s,
            replied_s=at_s + latency_s,
            done_s=at_s + latency_s,
            error=error,
        )
        for at_s in times
    ]


def figures(*pressed, calm=(), plan=PLAN):
    records = [*requests(CAPACITY, 100, 0.01), *(each for load in pressed for each in load)]
    return figures_of(Loads(CAPACITY, OVERLOAD, CALM, [*records, *calm]), plan)


GOOD = requests(OVERLOAD, 95, 0.05)
REFUSED = requests(OVERLOAD, 305, 0.02, "ServerUnavailable")


def test_a_server_that_bears_it():
    found = figures(GOOD, REFUSED, calm=requests(CALM, 50, 0.1))
    assert found.capacity_per_s == 10
    assert found.offered_per_s == 40
    assert found.goodput_share == pytest.approx(0.95)
    assert found.refused == 305
    assert found.refused_ms.p99 == pytest.approx(20)
    assert found.recovery_s == 0
    assert found.holds


@pytest.mark.parametrize(
    ("pressed", "calm"),
    [
        ([requests(OVERLOAD, 85, 0.2), REFUSED], []),
        ([GOOD, requests(OVERLOAD, 305, 1.2, "ServerUnavailable")], []),
        ([GOOD, REFUSED], requests(Window(25.5, 26), 5, 0.1, "ServerUnavailable")),
        ([GOOD, REFUSED], requests(Window(25.5, 26), 5, 0.6)),
    ],
    ids=["too little goodput", "slow refusals", "failures after it", "slow answers after it"],
)
def test_a_server_that_does_not(pressed, calm):
    assert not figures(*pressed, calm=calm).holds


def test_what_runs_out_of_time_is_no_refusal_and_no_goodput():
    found = figures(GOOD, requests(OVERLOAD, 305, 2.0, "DeadlineExceeded"))
    assert (found.refused, found.refused_ms, found.expired) == (0, None, 305)
    assert found.errors == {"DeadlineExceeded": 305}
    assert found.holds


def test_a_client_that_cannot_send_so_much_proves_nothing():
    late = [replace(each, sent_s=each.sent_s + 10) for each in REFUSED]
    found = figures(GOOD, late)
    assert found.offered_share == pytest.approx(95 / 400)
    assert not found.holds


def test_the_queues_own_time_is_allowed_for():
    slow = requests(OVERLOAD, 305, 1.2, "ServerUnavailable")
    plan = replace(PLAN, queue_bound_s=0.5)
    assert figures(GOOD, slow, plan=plan).holds


def test_the_command_says_what_it_saw(demo_repository, tmp_path, capsys):
    output = tmp_path / "run.json"
    status = main(
        [
            *("overload", "--repository", str(demo_repository), "--model", "demo"),
            *("--lengths", "uniform:4:8", "--warmup", "1", "--capacity", "3"),
            *("--times", "3", "--overload", "4", "--calm", "3", "--output", str(output)),
        ]
    )
    written = json.loads(output.read_text())
    found = written["overload"]
    assert status == (0 if found["holds"] else 1)
    assert written["plan"]["times"] == 3
    assert written["served"]["steps"]["encoder"]["dynamic_batching"]
    assert found["capacity_per_s"] > 0
    assert 0 < found["offered_share"] <= 1
    assert "demo at 3 times its capacity for 4 s" in capsys.readouterr().out
