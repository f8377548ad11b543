"""What becomes of requests that fail, on servers that are scripted to fail as real ones do."""

import itertools
import threading
import time
import traceback

import grpc
import numpy as np
import pytest

from client.errors import (
    ContractError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotReady,
    ServerError,
    ServerFailed,
    ServerUnavailable,
)
from client.wire.contract import TOKENS
from client.wire.failure_policy import FailurePolicy
from client.wire.timer import Timer
from client.wire.transport import TransportOptions, TritonTransport
from tests.client.support import CONTRACT, infer_reply, scripted_server, tokens_of

SAMPLES = np.zeros(1000, np.int16)
OTHER_JSON = CONTRACT.to_json().replace("0" * 64, "1" * 64)
EAGER = FailurePolicy(
    first_backoff_s=0.001, longest_backoff_s=0.01, first_probe_s=0.05, longest_probe_s=0.2
)


def answers(*codes):
    """A server that fails with each of ``codes`` in turn, and then answers."""
    left = iter(codes)
    asked = []

    def infer(request, context):
        asked.append(request)
        if (code := next(left, None)) is not None:
            context.abort(code, "scripted")
        return infer_reply()

    return infer, asked


def always(code):
    return answers(*itertools.repeat(code, 1000))


def heard(url, timeout_s=10.0, failures=EAGER):
    transport = TritonTransport(url, "demo", TransportOptions(timeout_s, failures=failures))
    try:
        return transport.submit(SAMPLES, TOKENS).result(timeout=timeout_s + 5)
    finally:
        transport.close()


UNAVAILABLE, INTERNAL = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL
NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "codes",
    [
        [UNAVAILABLE],
        [UNAVAILABLE] * 20,
        [INTERNAL] * 4,
        [INTERNAL, UNAVAILABLE] * 2,
        [INTERNAL, *[NOT_FOUND] * 6],  # as a model's process dies
        [*[UNAVAILABLE] * 5, INTERNAL],  # one after a restart
    ],
)
def test_what_may_pass_is_tried_again(codes):
    infer, asked = answers(*codes)
    with scripted_server(infer) as url:
        np.testing.assert_array_equal(heard(url), tokens_of("cat"))
    assert len(asked) == len(codes) + 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNIMPLEMENTED, ServerError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServerError),
    ],
)
def test_errors_that_are_not_retryable_are_not_retried(code, error):
    infer, asked = answers(code)
    with scripted_server(infer) as url, pytest.raises(error):
        heard(url)
    assert len(asked) == 1


def test_an_input_that_breaks_the_server_is_given_up_and_says_how_often_it_was_tried():
    infer, asked = always(INTERNAL)
    with (
        scripted_server(infer) as url,
        pytest.raises(ServerFailed, match="tried 5 times") as raised,
    ):
        heard(url)
    assert len(asked) == raised.value.tries == 5


@pytest.mark.parametrize(
    ("code", "error"), [(UNAVAILABLE, ServerUnavailable), (NOT_FOUND, ModelNotReady)]
)
def test_a_server_that_stays_away_is_given_up_within_the_budget(code, error):
    infer, _ = always(code)
    start_s = time.monotonic()
    with scripted_server(infer) as url, pytest.raises(error):
        heard(url, timeout_s=0.5)
    assert time.monotonic() - start_s < 5


def test_the_budget_covers_all_tries_of_a_slow_server():
    over = threading.Event()
    calls = itertools.count()

    def infer(_, context):
        if next(calls) == 0:
            context.abort(UNAVAILABLE, "scripted")
        over.wait(10)
        return infer_reply()

    with scripted_server(infer) as url:
        with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s in 2 tries") as raised:
            heard(url, timeout_s=0.5)
        assert (raised.value.url, raised.value.tries, raised.value.deadline_s) == (url, 2, 0.5)
        over.set()


def test_backoffs_grow_are_random_and_bounded():
    policy = FailurePolicy(first_backoff_s=1.0, longest_backoff_s=8.0)
    error = ServerUnavailable("busy")
    for tries, most_s in ((1, 1.0), (2, 2.0), (4, 8.0), (100, 8.0)):
        backoffs_s = [policy.backoff_s(error, tries, 0, 100.0) for _ in range(200)]
        assert 0.8 * most_s < max(backoffs_s) <= most_s
        assert min(backoffs_s) < 0.2 * most_s
    assert policy.backoff_s(error, 1, 0, 0.0) is None


def test_closing_fails_requests_that_wait_for_their_retry():
    infer, _ = always(UNAVAILABLE)
    patient = FailurePolicy(first_backoff_s=1000.0, longest_backoff_s=1000.0)
    with scripted_server(infer) as url:
        transport = TritonTransport(url, "demo", TransportOptions(1e6, failures=patient))
        future = transport.submit(SAMPLES, TOKENS)
        time.sleep(0.3)
        transport.close()
        with pytest.raises(ServerError, match=r"closed|CANCELLED|not reachable"):
            future.result(timeout=5)


def test_servers_share_the_requests_and_a_failing_one_is_ejected():
    good, asked_good = answers()
    bad, asked_bad = always(UNAVAILABLE)
    with scripted_server(good) as one, scripted_server(bad) as other:
        patient = FailurePolicy(first_backoff_s=0.001, first_probe_s=100.0)
        transport = TritonTransport([one, other], "demo", TransportOptions(failures=patient))
        try:
            for _ in range(50):
                transport.submit(SAMPLES, TOKENS).result(timeout=10)
        finally:
            transport.close()
    assert len(asked_good) == 50
    assert len(asked_bad) == patient.eject_after


def test_healthy_servers_take_turns():
    counts = []
    with scripted_server(answers()[0]) as one:
        infer, asked = answers()
        with scripted_server(infer) as other:
            transport = TritonTransport([one, other], "demo")
            for _ in range(10):
                transport.submit(SAMPLES, TOKENS).result(timeout=10)
            counts.append(len(asked))
            transport.close()
    assert counts == [5]


def test_a_server_that_is_back_takes_requests_again():
    codes = [UNAVAILABLE] * EAGER.eject_after
    returning, asked = answers(*codes)
    with scripted_server(answers()[0]) as one, scripted_server(returning) as other:
        transport = TritonTransport([one, other], "demo", TransportOptions(failures=EAGER))
        deadline_s = time.monotonic() + 10
        try:
            while len(asked) <= len(codes) + 3:
                transport.submit(SAMPLES, TOKENS).result(timeout=10)
                assert time.monotonic() < deadline_s
        finally:
            transport.close()


def test_one_of_several_servers_may_be_away_at_the_beginning():
    with scripted_server() as url:
        np.testing.assert_array_equal(heard(["127.0.0.1:1", url]), tokens_of("cat"))


def test_servers_of_different_models_are_refused():
    with (
        scripted_server() as one,
        scripted_server(contract_json=OTHER_JSON) as other,
        pytest.raises(ContractError, match=f"{other}.*another checkpoint.*{one}") as raised,
    ):
        heard([one, other])
    assert (raised.value.url, raised.value.model) == (other, "demo")


def port_of(url):
    return int(url.rpartition(":")[2])


def submit_while_away(transport):
    """A request to a server that has gone, once the transport has noticed that it has."""
    waiting = transport.submit(SAMPLES, TOKENS)
    (server,) = transport._servers._servers
    deadline_s = time.monotonic() + 10
    while server.ejected is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    return waiting


def test_answers_of_another_model_behind_the_same_address_are_not_taken():
    with scripted_server() as url:
        transport = TritonTransport(url, "demo", TransportOptions(30.0, failures=EAGER))
        transport.submit(SAMPLES, TOKENS).result(timeout=10)
    try:
        waiting = submit_while_away(transport)
        infer, asked = answers()
        with scripted_server(infer, OTHER_JSON, port_of(url)):
            with pytest.raises(ContractError, match=f"{url} serves another checkpoint") as raised:
                waiting.result(timeout=20)
            assert (raised.value.url, raised.value.model) == (url, "demo")
            with pytest.raises(ContractError):
                transport.submit(SAMPLES, TOKENS).result(timeout=5)
        assert asked == []
    finally:
        transport.close()


def test_a_model_that_does_not_come_back_is_the_error():
    with scripted_server() as url:
        transport = TritonTransport(url, "demo", TransportOptions(1.0, failures=EAGER))
    try:
        submit_while_away(transport)
        with (
            scripted_server(port=port_of(url), model="other"),
            pytest.raises(ModelNotReady, match=r"no server is usable.*no model 'demo'") as raised,
        ):
            transport.submit(SAMPLES, TOKENS).result(timeout=10)
        assert (raised.value.model, raised.value.grpc_status) == ("demo", "NOT_FOUND")
    finally:
        transport.close()


def test_a_refused_server_takes_no_memory_for_each_request():
    with scripted_server() as url:
        transport = TritonTransport(url, "demo", TransportOptions(30.0, failures=EAGER))
    try:
        submit_while_away(transport)
        with scripted_server(contract_json=OTHER_JSON, port=port_of(url)):
            errors = [transport.submit(SAMPLES, TOKENS).exception(timeout=20) for _ in range(30)]
    finally:
        transport.close()
    assert isinstance(errors[-1], ContractError)
    assert len(list(traceback.walk_tb(errors[-1].__traceback__))) < 10


def test_any_time_can_be_given():
    with scripted_server() as url:
        assert len(heard(url, timeout_s=1e8))


def test_a_server_that_comes_with_another_model_later_costs_the_others_nothing():
    with scripted_server() as gone:
        pass
    with scripted_server() as url:
        transport = TritonTransport([url, gone], "demo", TransportOptions(10.0, failures=EAGER))
        try:
            with scripted_server(contract_json=OTHER_JSON, port=port_of(gone)):
                for _ in range(20):
                    transport.submit(SAMPLES, TOKENS).result(timeout=10)
                    time.sleep(0.05)
        finally:
            transport.close()


def test_a_server_that_hangs_among_others_is_ejected():
    over = threading.Event()
    hung = []

    def hang(request, _):
        hung.append(request)
        over.wait(30)
        return infer_reply()

    with scripted_server() as one, scripted_server(hang) as other:
        transport = TritonTransport([one, other], "demo", TransportOptions(0.2, failures=EAGER))
        try:
            for _ in range(60):
                transport.submit(SAMPLES, TOKENS).exception(timeout=10)
        finally:
            over.set()
            transport.close()
    assert EAGER.eject_after <= len(hung) < 15


def test_a_connection_that_fails_leaves_no_thread():
    before = threading.active_count()
    for _ in range(5):
        with (
            scripted_server() as one,
            scripted_server(contract_json=OTHER_JSON) as other,
            pytest.raises(ContractError),
        ):
            heard(["127.0.0.1:1", one, other])
    time.sleep(0.5)
    assert threading.active_count() <= before + 1


def test_a_timer_calls_in_order_and_at_once_when_closed():
    timer, called, last = Timer(), [], threading.Event()
    timer.after(0.2, lambda: (called.append("late"), last.set()))
    timer.after(0.05, lambda: called.append("early"))
    assert last.wait(5)
    timer.after(100, lambda: called.append("left"))
    timer.close()
    timer.after(100, lambda: called.append("after"))
    assert called == ["early", "late", "left", "after"]
