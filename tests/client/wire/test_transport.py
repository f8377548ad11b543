"""The wire: every way a server can fail is one typed error; replies are trimmed and checked.

The server here is scripted: a healthy Triton does not give these answers.
"""

import gc
import json
import re
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from time import monotonic

import grpc
import numpy as np
import pytest

from client.commands.flags import FLAGS
from client.errors import (
    AudioError,
    ContractError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotReady,
    SecurityError,
    ServerError,
    ServerFailed,
    ServerUnavailable,
)
from client.wire.connection import Connection, ConnectionOptions
from client.wire.contract import TOKENS
from client.wire.diagnosis import connection_problem
from client.wire.failure_policy import FailurePolicy
from client.wire.models import list_models
from client.wire.transport import TransportOptions, TritonTransport
from tests.client.support import CONTRACT, infer_reply, scripted_server, tokens_of

SAMPLES = np.zeros(1000, np.int16)


def submit(url, samples=SAMPLES, **options):
    transport = TritonTransport(url, "demo", TransportOptions(**options))
    try:
        return transport.submit(samples, TOKENS).result(timeout=10)
    finally:
        transport.close()


@pytest.mark.parametrize("url", ["localhost:99999", "[::1]:65536", "host:0", "host:http", "host:"])
def test_a_port_that_cannot_be_is_refused_before_grpc_makes_another_of_it(url):
    with pytest.raises(ServerError, match=f"{re.escape(url)} has the port .* 1 to 65535"):
        TritonTransport(url, "demo")
    with pytest.raises(ServerError, match="is not valid UTF-8"):
        TritonTransport("caf\udce9:8001", "demo")


@pytest.mark.parametrize("url", ["host:" + "9" * 5000, "dns:host:" + "9" * 5000, "dns:host:port"])
def test_a_port_of_any_length_is_refused_shortly(url):
    with pytest.raises(ServerError, match=r"has the port .* 1 to 65535") as raised:
        TritonTransport(url, "demo")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("scheme", ["dns:", "dns:///", "ipv4:"])
def test_grpcs_names_of_addresses_are_taken(scheme):
    host = "127.0.0.1" if scheme == "ipv4:" else "localhost"
    with scripted_server() as url:
        port = url.rpartition(":")[2]
        np.testing.assert_array_equal(submit(f"{scheme}{host}:{port}"), tokens_of("cat"))


@pytest.mark.parametrize("url", ["dns:asr.invalid", "dns:///asr.invalid"])
def test_a_name_without_a_port_is_looked_up(url):
    with pytest.raises(ServerUnavailable, match="its name is not known"):
        TritonTransport(url, "demo")


def test_no_connection_is_left_open_where_another_cannot_be_made(monkeypatch):
    closed = []
    close = Connection.close
    monkeypatch.setattr(Connection, "close", lambda self: (closed.append(self.url), close(self)))
    with pytest.raises(ServerError, match="has the port"):
        TritonTransport(["one:1", "two:2", "three:0"], "demo")
    assert sorted(closed) == ["one:1", "two:2"]


def test_a_reply_is_trimmed_to_the_utterances_own_frames():
    with scripted_server() as url:
        np.testing.assert_array_equal(submit(url), tokens_of("cat"))


def test_only_what_the_decoder_needs_is_asked_for():
    asked = []

    def infer(request, _):
        asked.extend(output.name for output in request.outputs)
        return infer_reply()

    with scripted_server(infer) as url:
        submit(url)
    assert asked == ["tokens", "log_probs_length"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailable),
        (grpc.StatusCode.NOT_FOUND, ModelNotReady),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.INTERNAL, ServerFailed),
        (grpc.StatusCode.UNKNOWN, ServerFailed),
        (grpc.StatusCode.PERMISSION_DENIED, SecurityError),
        (grpc.StatusCode.UNIMPLEMENTED, ServerError),
    ],
)
def test_a_status_becomes_a_typed_error_by_its_code(code, error):
    def infer(_, context):
        context.abort(code, "NOT_FOUND UNAVAILABLE INVALID_ARGUMENT")  # the text says nothing

    with scripted_server(infer) as url, pytest.raises(ServerError) as raised:
        submit(url, failures=FailurePolicy(retries=False))
    assert type(raised.value) is error
    assert raised.value.__cause__ is not None
    facts = (raised.value.url, raised.value.model, raised.value.grpc_status, raised.value.tries)
    assert facts == (url, "demo", code.name, 1)
    assert raised.value.deadline_s == TransportOptions.timeout_s


def test_a_server_that_does_not_answer_meets_the_deadline():
    over = threading.Event()

    def infer(*_):
        over.wait(10)
        return infer_reply()

    with scripted_server(infer) as url:
        with pytest.raises(DeadlineExceeded, match=r"0\.3 s"):
            submit(url, timeout_s=0.3)
        over.set()


@pytest.mark.parametrize("length", [-1, 9])
def test_a_length_outside_the_reply_is_an_error(length):
    with (
        scripted_server(lambda *_: infer_reply(length=length)) as url,
        pytest.raises(ServerError, match="8 frames"),
    ):
        submit(url)


def test_a_reply_without_the_tensor_is_an_error():
    def infer(*_):
        reply = infer_reply()
        reply.outputs[0].name = "other"
        return reply

    with scripted_server(infer) as url, pytest.raises(ServerError, match="lacks 'tokens'"):
        submit(url)


@pytest.mark.parametrize("shape", [[], [1], [2, 1]])
@pytest.mark.parametrize(("output", "kind"), [(0, np.int32), (1, np.int64)])
def test_a_reply_of_other_dimensions_is_an_error(output, kind, shape):
    def infer(*_):
        reply = infer_reply()
        reply.outputs[output].shape[:] = shape
        reply.raw_output_contents[output] = np.zeros(shape, kind).tobytes()
        return reply

    with scripted_server(infer) as url, pytest.raises(ServerError, match="expected one utterance"):
        submit(url)


def test_a_reply_of_too_few_bytes_fails_and_does_not_hang():
    def infer(*_):
        reply = infer_reply()
        reply.raw_output_contents[0] = b"123"
        return reply

    with scripted_server(infer) as url, pytest.raises(ServerError, match="malformed") as raised:
        submit(url)
    assert (raised.value.url, raised.value.model, raised.value.tries) == (url, "demo", 1)
    assert raised.value.deadline_s == TransportOptions.timeout_s


@pytest.mark.parametrize(
    ("n_samples", "says"),
    [(0, "too short: 0.000 s"), (319, "at least 0.020 s"), (32001, "at most 2.0 s")],
)
def test_audio_outside_the_contract_is_not_sent(n_samples, says):
    def infer(_, context):
        context.abort(grpc.StatusCode.INTERNAL, "was sent")

    with scripted_server(infer) as url, pytest.raises(AudioError, match=says):
        submit(url, np.zeros(n_samples, np.int16))


@pytest.mark.parametrize("n_samples", [320, 32000])
def test_audio_at_the_bounds_of_the_contract_is_sent(n_samples):
    with scripted_server() as url:
        assert len(submit(url, np.zeros(n_samples, np.int16)))


def test_an_unknown_model_is_an_error_that_lists_the_known():
    with scripted_server() as url, pytest.raises(ModelNotReady, match="it has broken, demo"):
        TritonTransport(url, "dmo")


def test_a_model_that_is_not_loaded_is_told_from_a_server_that_is_not_there():
    with scripted_server() as url, pytest.raises(ModelNotReady, match="weights are missing"):
        TritonTransport(url, "broken")


@pytest.mark.parametrize(
    ("contract_json", "says"),
    [
        ("", "carries no contract"),
        ("{", "not JSON"),
        (json.dumps({**asdict(CONTRACT), "version": 2}), "version 2"),
    ],
)
def test_a_model_without_a_usable_contract_is_refused(contract_json, says):
    with (
        scripted_server(contract_json=contract_json) as url,
        pytest.raises(ContractError, match=says),
    ):
        TritonTransport(url, "demo")


def test_no_server_is_an_error_that_names_the_address():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ServerUnavailable, match=f"{url}.*start a server") as raised:
            TritonTransport(url, "demo")
    assert "`make serve`" in raised.value.text(FLAGS)


def test_a_port_that_never_speaks_meets_the_deadline():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match=r"allow more time$"):
            list_models(url, timeout_s=0.3)
        limit = r"within 0\.3 s: .* allow more time \(TransportOptions\.connect_timeout_s\)$"
        with pytest.raises(DeadlineExceeded, match=limit) as raised:
            TritonTransport(url, "demo", TransportOptions(connect_timeout_s=0.3))
    assert raised.value.options == ()


def test_models_are_listed_with_their_contract_or_their_problem():
    with scripted_server() as url:
        broken, demo = list_models(url)
    assert (broken.ready, broken.problem) == (False, "weights are missing")
    assert (demo.ready, demo.contract) == (True, CONTRACT)


def test_a_connection_that_grpc_cannot_close_does_not_keep_the_program(monkeypatch):
    """An interrupt at the wrong moment leaves gRPC a call that it waits for without end."""
    monkeypatch.setattr("client.wire.connection._CLOSE_S", 0.1)
    never = threading.Event()
    with scripted_server() as url:
        connection = Connection(url, ConnectionOptions())
        hang_up = connection._client.close
        monkeypatch.setattr(connection._client, "close", never.wait)
        connection.close()  # or the test's time is over
        never.set()
        hang_up()


def test_several_connections_that_grpc_cannot_close_are_given_up_at_the_same_time(monkeypatch):
    monkeypatch.setattr("client.wire.connection._CLOSE_S", 1.0)
    never = threading.Event()
    with ExitStack() as servers:
        urls = [servers.enter_context(scripted_server()) for _ in range(4)]
        transport = TritonTransport(urls, "demo")
        clients = [server.connection._client for server in transport._servers._servers]
        hang_up = [client.close for client in clients]
        for each in clients:
            monkeypatch.setattr(each, "close", never.wait)
        begun_s = monotonic()
        transport.close()
        assert 1 <= monotonic() - begun_s < 3
        never.set()
        for close in hang_up:
            close()


@pytest.mark.parametrize("tls", [True, False])
def test_a_server_that_hangs_up_at_once_leaves_no_socket_open(tls, monkeypatch):
    """It may do so before TLS begins or after."""
    unclosed = []
    monkeypatch.setattr("sys.unraisablehook", unclosed.append)
    reset = struct.pack("ii", 1, 0)  # linger for no time: RST instead of FIN

    def hang_up(listening):
        with suppress(OSError):
            while True:
                connected, _ = listening.accept()
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                connected.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=hang_up, args=(listening,))
        thread.start()
        url = f"127.0.0.1:{listening.getsockname()[1]}"
        for _ in range(300):
            problem = connection_problem(url, ConnectionOptions(tls=tls), timeout_s=5.0)
            assert isinstance(problem, ServerUnavailable)
        gc.collect()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert unclosed == []


def test_requests_name_the_version_of_the_contract():
    asked = []

    def infer(request, _):
        asked.append(request.model_version)
        return infer_reply()

    with scripted_server(infer, replace(CONTRACT, model_version=7).to_json()) as url:
        submit(url)
    assert asked == ["7"]


def test_another_export_behind_the_address_is_a_contract_error_without_a_lost_connection_too():
    """Nothing tells the client of the restart: its channel connects again by itself."""
    with scripted_server() as url:
        transport = TritonTransport(url, "demo")
        transport.submit(SAMPLES, TOKENS).result(timeout=10)
    other = replace(CONTRACT, model_version=2, vocabulary=CONTRACT.vocabulary[::-1])
    port = int(url.rpartition(":")[2])
    with (
        scripted_server(contract_json=other.to_json(), port=port, version="2"),
        pytest.raises(ContractError, match="another checkpoint or export"),
    ):
        transport.submit(SAMPLES, TOKENS).result(timeout=30)
    transport.close()


def test_a_model_in_another_version_than_its_contract_says_is_told_at_once():
    with (
        scripted_server(version="115587657") as url,
        pytest.raises(ModelNotReady, match="another version than its contract says, 1: files of"),
    ):
        TritonTransport(url, "demo")


def test_servers_may_have_the_export_of_a_renamed_checkpoint():
    renamed = replace(CONTRACT, checkpoint="renamed")
    with scripted_server() as one, scripted_server(contract_json=renamed.to_json()) as two:
        TritonTransport([one, two], "demo").close()
