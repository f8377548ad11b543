"""Waiting for a server that is still starting; what waiting does not mend fails at once."""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

from client.__main__ import main
from client.errors import ContractError, ModelNotReady, SecurityError, ServerUnavailable
from client.wire.connection import ConnectionOptions
from client.wire.models import list_models
from client.wire.transport import TransportOptions, TritonTransport
from server import EmbeddedServer, ServerOptions, free_ports
from tests.client.support import CONTRACT, scripted_server
from tests.conftest import PROJECT

CLIP = min((PROJECT / "demo" / "clips").glob("*.flac"))
LONG_S = 60.0


def connect(url, model="demo", wait_s=LONG_S, **connection):
    options = TransportOptions(wait_s=wait_s, connection=ConnectionOptions(**connection))
    with closing(TritonTransport(url, model, options)) as transport:
        return transport.contract


def address():
    return f"127.0.0.1:{free_ports()['grpc_port']}"


def waits(caplog):
    """Whether the client begins to wait within some time."""
    end_s = monotonic() + 30
    while not any("waiting for it" in record.message for record in caplog.records):
        if monotonic() > end_s:
            return False
        sleep(0.01)
    return True


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    caplog.set_level(logging.WARNING)


def test_a_command_begun_before_its_server_goes_on_with_it(demo_repository, caplog, tmp_path):
    ports = free_ports()
    url = f"127.0.0.1:{ports['grpc_port']}"
    output = tmp_path / "out.txt"
    arguments = ["--url", url, "--model", "demo", "--wait", "60", "--output", str(output)]
    with ThreadPoolExecutor() as pool:
        status = pool.submit(main, ["transcribe", str(CLIP), *arguments])
        assert waits(caplog)
        with EmbeddedServer(ServerOptions(demo_repository, **ports)):
            assert status.result(60) == 0
    assert output.read_text(encoding="utf-8").startswith(f"{CLIP}\t")


def models_of(url):
    return list_models(url, wait_s=LONG_S)[-1].contract


@pytest.mark.parametrize("ask", [connect, models_of])
def test_a_server_that_comes_late_is_waited_for(ask, caplog):
    url = address()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, url)
        assert waits(caplog)
        with scripted_server(port=int(url.rpartition(":")[2])):
            assert asked.result(30) == CONTRACT


def test_of_several_servers_the_first_that_comes_is_enough(caplog):
    late, never = address(), address()
    with ThreadPoolExecutor() as pool:
        contract = pool.submit(connect, [never, late])
        assert waits(caplog)
        with scripted_server(port=int(late.rpartition(":")[2])):
            assert contract.result(30) == CONTRACT


def test_when_the_time_is_over_the_last_cause_is_the_error():
    start_s = monotonic()
    with pytest.raises(ServerUnavailable, match="nothing listens there"):
        connect(address(), wait_s=0.5)
    assert 0.5 <= monotonic() - start_s < LONG_S / 2


def test_a_model_that_loads_is_waited_for_and_one_that_failed_is_not():
    for reason, waited_s in (("", 0.5), ("unloaded", 0.5), ("weights are missing", 0.0)):
        with scripted_server(reason=reason) as url:
            start_s = monotonic()
            with pytest.raises(ModelNotReady) as raised:
                connect(url, "broken", wait_s=waited_s or LONG_S)
            assert waited_s <= monotonic() - start_s < LONG_S / 2
        assert raised.value.may_become_ready == (waited_s > 0)


@pytest.mark.parametrize(
    ("model", "contract_json", "connection", "error"),
    [
        ("other", CONTRACT.to_json(), {}, ModelNotReady),
        ("demo", "{}", {}, ContractError),
        ("demo", CONTRACT.to_json(), {"tls": True}, SecurityError),
        ("demo", CONTRACT.to_json(), {"tls": True, "ca": Path("gone.pem")}, SecurityError),
    ],
)
def test_what_waiting_does_not_mend_fails_at_once(model, contract_json, connection, error, caplog):
    with scripted_server(contract_json=contract_json) as url, pytest.raises(error):
        connect(url, model, **connection)
    assert not caplog.records
