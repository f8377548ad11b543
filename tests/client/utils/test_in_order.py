"""Ordered results: as soon as they are done, few at a time, and never later than they must be."""

import threading
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from itertools import islice
from queue import SimpleQueue

import numpy as np
import pytest

from client import Transcriber
from client.commands.streams import transcribe_entries
from client.manifests.manifest import Entry
from client.utils.in_order import in_order
from tests.client.support import scripted_server

WAIT_S = 10


def done(value):
    future = Future()
    future.set_result(value)
    return future


def itself(future):
    return future


def values(futures):
    return [future.result() for future in futures]


def live(coming):
    """What is put into a queue, until ``None``; fails after a while without anything."""
    return iter(partial(coming.get, timeout=WAIT_S), None)


def ended(thread):
    thread.join(WAIT_S)
    return not thread.is_alive()


def test_what_is_done_last_first_is_given_in_order():
    futures = [Future() for _ in range(4)]

    def started():
        yield from futures
        for number in (3, 2, 1, 0):
            futures[number].set_result(number)

    assert values(in_order(started(), itself, 5)) == [0, 1, 2, 3]


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_under_way_than_may_be(most):
    begun = []
    for number, _ in enumerate(
        in_order((begun.append(i) or done(i) for i in range(20)), itself, most)
    ):
        assert len(begun) <= number + most
    assert len(begun) == 20


def test_what_is_done_does_not_wait_for_the_next_of_a_live_source():
    coming = SimpleQueue()
    results = in_order(live(coming), itself, 8)
    for number in range(3):
        coming.put(done(number))
        assert next(results).result() == number
    coming.put(None)
    assert list(results) == []


def test_an_exception_of_the_source_comes_after_the_things_before_it():
    def started():
        yield done(0)
        yield done(1)
        raise ZeroDivisionError("the source")

    results = in_order(started(), itself, 8)
    assert values(islice(results, 2)) == [0, 1]
    with pytest.raises(ZeroDivisionError, match="the source"):
        next(results)


def test_a_source_is_closed_and_its_thread_ends_when_nobody_takes_more():
    closed = threading.Event()
    threads = []

    def started():
        threads.append(threading.current_thread())
        try:
            while True:
                yield done(0)
        finally:
            closed.set()

    results = in_order(started(), itself, 3)
    next(results)
    results.close()
    assert closed.wait(WAIT_S)
    assert ended(threads[0])


def test_a_thread_that_waits_for_a_live_source_ends_with_its_next_thing():
    coming = SimpleQueue()
    threads = []

    def started():
        threads.append(threading.current_thread())
        yield from live(coming)

    results = in_order(started(), itself, 3)
    coming.put(done(0))
    next(results)
    results.close()  # does not wait for the source
    assert threads[0].is_alive()
    coming.put(done(1))
    assert ended(threads[0])


def test_a_source_sees_the_context_of_its_taker():
    variable = ContextVar("variable", default="another")
    variable.set("the taker's")
    results = in_order((done(variable.get()) for _ in range(1)), itself, 1)
    assert values(results) == ["the taker's"]


def test_commands_too_give_a_result_before_the_next_entry_comes():
    coming = SimpleQueue()
    samples = np.zeros(1000, np.int16)
    with scripted_server() as url, Transcriber(url, "demo") as transcriber:
        pairs = transcribe_entries(transcriber, live(coming))
        for line in (1, 2, 3):
            coming.put(Entry(line, {}, samples))
            entry, result = next(pairs)
            assert (entry.line, result.transcript.text) == (line, "cat")
        coming.put(None)
        assert list(pairs) == []
