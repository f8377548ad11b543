"""Who is let in: TLS, client certificates, and the key of an administrator."""

import json
import socket
import subprocess
import sys
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from server import EmbeddedServer, OptionsError, RestrictedKey, ServerOptions, Tls, free_ports
from server.security import read_restricted_key
from tests.client.wire.certificates import make_certificates
from tests.server.harness import IDENTITY_CONFIG, Launched, identity, write_model

SECRET = "correct-horse"  # noqa: S105 -- of a test
GRPC_KEY = {"triton-grpc-protocol-admin": SECRET}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    write_model(folder, "echo", identity(), IDENTITY_CONFIG)
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def infer(client, headers=None):
    x = InferInput("x", [1, 2], "FP32")
    x.set_data_from_numpy(np.zeros((1, 2), np.float32))
    return client.infer("echo", [x], headers=headers)


def post(url, path, headers):
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("POST", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_a_key_opens_administration_and_the_rest_stays_open(repository):
    options = ServerOptions(repository, **free_ports(), restricted=RestrictedKey("admin", SECRET))
    with (
        EmbeddedServer(options) as server,  # it asks for the index itself
        InferenceServerClient(server.grpc_url) as client,
    ):
        infer(client)
        assert client.is_model_ready("echo")
        assert client.get_model_config("echo").config.name == "echo"
        assert client.get_inference_statistics().model_stats
        for administer in (
            client.get_model_repository_index,
            client.get_system_shared_memory_status,
            client.get_trace_settings,
            client.get_log_settings,
        ):
            with pytest.raises(InferenceServerException, match="protocol is restricted"):
                administer()
            administer(headers=GRPC_KEY)
        assert post(server.http_url, "/v2/repository/index", {})[0] == 403
        status, body = post(server.http_url, "/v2/repository/index", {"admin": SECRET})
        assert (status, json.loads(body)[0]["name"]) == (200, "echo")


def test_inference_can_be_restricted_too_and_the_key_is_not_told(repository, tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    given = ("--restricted-key", f"admin=file:{tmp_path / 'key'}", "--restrict-inference")
    with Launched(repository, *given) as launched:
        launched.wait_until_ready()
        with InferenceServerClient(launched.url) as client:
            assert client.get_model_config("echo").config.name == "echo"
            with pytest.raises(InferenceServerException, match="protocol is restricted"):
                infer(client)
            infer(client, GRPC_KEY)
        launched.process.terminate()
        _, said = launched.finish()
    assert SECRET not in said


def test_tls_lets_in_only_those_with_a_certificate_and_keeps_the_rest_at_home(
    repository, certificates
):
    tls = Tls(certificates.server, certificates.server_key, certificates.ca)
    options = ServerOptions(repository, host="0.0.0.0", tls=tls, **free_ports())  # noqa: S104
    trusted, other = certificates.ca, certificates.other_ca
    ours = {"private_key": certificates.client_key, "certificate_chain": certificates.client}
    with EmbeddedServer(options) as server:
        assert is_let_in(server.grpc_url, root_certificates=trusted, **ours)
        assert not is_let_in(server.grpc_url, root_certificates=trusted)
        assert not is_let_in(server.grpc_url, root_certificates=other, **ours)
        with grpc.insecure_channel(server.grpc_url) as channel:
            assert not connects(channel)
        reachable = {service: listens(port) for service, port in options.ports().items()}
    assert reachable == {"gRPC": True, "HTTP": False, "metrics": False}


def is_let_in(url, **files):
    credentials = grpc.ssl_channel_credentials(
        **{name: path.read_bytes() for name, path in files.items()}
    )
    with grpc.secure_channel(url, credentials) as channel:
        return connects(channel)


def connects(channel):
    try:
        grpc.channel_ready_future(channel).result(timeout=1.5)
    except grpc.FutureTimeoutError:
        return False
    return True


def listens(port):
    """Whether the port is open on another address of this machine than the usual one."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.2", port)) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SECRET, "not the value itself"),
        (f"admin={SECRET}", "not the value itself"),
        ("admin=env:NO_SUCH_VARIABLE", "restricted key admin: expected a value"),
        ("admin=file:no_such_file", "cannot read no_such_file"),
        ("Admin=env:PATH", "expected a name of lower case"),
    ],
)
def test_a_key_that_is_none_is_refused_without_being_shown(text, message):
    with pytest.raises(OptionsError, match=message) as refused:
        read_restricted_key(text)
    assert SECRET not in str(refused.value)


def test_a_key_is_not_shown(monkeypatch):
    monkeypatch.setenv("ADMIN_KEY", SECRET)
    key = read_restricted_key("admin=env:ADMIN_KEY")
    assert key.headers == {"admin": SECRET}
    assert SECRET not in repr(key)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--tls-key=k"], "give both or none"),
        (["--tls-client-ca=c"], "needs --tls-certificate"),
        (["--restrict-inference"], "needs --restricted-key"),
        (["--drain-timeout-s=-1"], "expected seconds, at least 0"),
        (["--restart-limit=0"], "expected a whole number of at least 1"),
        (["--restart-limit=x"], "'x': expected a whole number of at least 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given, message):
    command = [sys.executable, "-m", "server", "--repository=r", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert message in error
    assert hint == "hint: python -m server -h explains the options"


def test_a_certificate_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OptionsError, match=r"expected a PEM file at .*missing\.pem"):
        Tls(tmp_path / "missing.pem", tmp_path / "missing.pem")
