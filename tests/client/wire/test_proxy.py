"""A proxy in the environment: gRPC's rules, and an error that names the variable."""

import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from client import Transcriber
from client.errors import ServerUnavailable
from client.wire.models import list_models
from client.wire.proxy import Proxy
from tests.client.support import scripted_server

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
SERVER = "asr.example:8001"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


class ConnectProxy:
    """An HTTP proxy for one server, whatever address it is asked for; or one that refuses."""

    def __init__(self, target="", answer="200 OK"):
        self._target = target
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                threading.Thread(
                    target=self._serve, args=(self._listener.accept()[0],), daemon=True
                ).start()

    def _serve(self, client):
        with client, suppress(OSError):
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += client.recv(1)
            self.requests.append(request.decode())
            client.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
            if not self._target:
                return
            host, _, port = self._target.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()


def pump(source, sink):
    with suppress(OSError):
        while block := source.recv(1 << 16):
            sink.sendall(block)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(**options):
    running = ConnectProxy(**options)
    try:
        yield running
    finally:
        running.close()


def test_a_server_beyond_the_proxy_is_reached_through_it(monkeypatch):
    with scripted_server() as url, proxy(target=url) as running:
        monkeypatch.setenv("http_proxy", f"http://user:pass@{running.address}")
        with Transcriber(SERVER, "demo") as transcriber:
            (result,) = transcriber.transcribe([np.zeros(1000, np.int16)])
    assert result.transcript.text == "cat"
    assert running.requests[0].startswith(f"CONNECT {SERVER} HTTP/1.1\r\n")


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_a_proxy_that_refuses_is_named_with_its_variable_and_the_way_out(monkeypatch, variable):
    with proxy(answer="403 Forbidden") as running:
        monkeypatch.setenv(variable, f"http://user:secret@{running.address}")
        with pytest.raises(ServerUnavailable) as raised:
            Transcriber(SERVER, "demo")
        with pytest.raises(ServerUnavailable, match=variable):
            list_models(SERVER)
    said = str(raised.value)
    for part in ("403 Forbidden", running.address, variable, "add asr.example to no_proxy"):
        assert part in said
    assert "8001, not" not in said  # the port is not to blame
    assert "secret" not in said
    assert "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in running.requests[-1]


def test_a_proxy_that_is_not_there_or_says_nothing_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = silent.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("http_proxy", f"http://127.0.0.1:{there}")
            with pytest.raises(OSError, match="gives no answer"):
                Proxy.of(SERVER).connect(("asr.example", 8001), 0.2)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{there}")
    with pytest.raises(ServerUnavailable, match=r"its proxy cannot be reached.*http_proxy"):
        Transcriber(SERVER, "demo")


def test_what_answers_beyond_the_proxy_is_looked_at_too(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"

        def greet():
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=greet, daemon=True).start()
        with proxy(target=target) as running:
            monkeypatch.setenv("http_proxy", f"http://{running.address}")
            with pytest.raises(ServerUnavailable, match=r"speaks no gRPC.*http_proxy names"):
                Transcriber(SERVER, "demo")


def test_this_machine_is_reached_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with scripted_server() as url:
        for host in ("localhost", "127.0.0.1"):
            with Transcriber(f"{host}:{url.rpartition(':')[2]}", "demo") as transcriber:
                assert transcriber.contract.blank


GRPCS_OWN = """
import sys
from tritonclient.grpc import InferenceServerClient
try:
    InferenceServerClient(sys.argv[1]).is_server_live(client_timeout=5)
except Exception:
    pass
"""

A, B, C = (f"http://127.0.0.1:{port}" for port in (1, 2, 3))


@pytest.mark.parametrize(
    ("environment", "url", "variable"),
    [
        ({"http_proxy": A}, SERVER, "http_proxy"),
        ({"http_proxy": A, "https_proxy": B}, SERVER, "https_proxy"),
        ({"http_proxy": A, "https_proxy": B, "grpc_proxy": C}, SERVER, "grpc_proxy"),
        ({"http_proxy": A, "grpc_proxy": ""}, SERVER, None),
        ({"HTTP_PROXY": A}, SERVER, None),
        ({"http_proxy": "127.0.0.1:1"}, SERVER, None),
        ({"http_proxy": "socks5://127.0.0.1:1"}, SERVER, None),
        ({"http_proxy": A, "no_proxy": "other, ASR.example"}, SERVER, None),
        ({"http_proxy": A, "no_proxy": ".example"}, SERVER, None),
        ({"http_proxy": A, "no_proxy": "r.example"}, SERVER, "http_proxy"),
        ({"http_proxy": A, "no_proxy": "*"}, SERVER, "http_proxy"),
        ({"http_proxy": A, "NO_PROXY": "asr.example"}, SERVER, "http_proxy"),
        ({"http_proxy": A, "no_proxy": "asr.example", "no_grpc_proxy": "x"}, SERVER, "http_proxy"),
        ({"http_proxy": A, "no_proxy": "10.0.0.0/8"}, "10.1.2.3:8001", None),
        ({"http_proxy": A}, "dns:///asr.example:8001", "http_proxy"),
        ({"http_proxy": A}, "dns:asr.example:8001", "http_proxy"),
        ({"http_proxy": A}, "dns://10.0.0.1/asr.example:8001", "http_proxy"),
        ({"http_proxy": A, "no_proxy": "asr.example"}, "dns:asr.example", None),
        ({"http_proxy": A}, "dns:localhost:8001", None),
        ({"http_proxy": A}, "xds:///asr.example:8001", None),
        ({"http_proxy": A}, "unix:/tmp/socket", None),
        ({"http_proxy": A}, "[::1]:8001", None),
    ],
)
def test_the_proxy_is_the_one_that_grpc_takes(monkeypatch, environment, url, variable):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = Proxy.of(url)
    assert (found and found.variable) == variable


@pytest.mark.parametrize("excepted", ["no_proxy", "NO_PROXY"])
def test_grpc_itself_keeps_to_these_rules(monkeypatch, excepted):
    with proxy(answer="403 Forbidden") as running:
        monkeypatch.setenv("http_proxy", f"http://{running.address}")
        monkeypatch.setenv(excepted, "asr.invalid")
        url = "asr.invalid:8001"
        subprocess.run([sys.executable, "-c", GRPCS_OWN, url], check=True, timeout=60)
    assert bool(running.requests) == (Proxy.of(url) is not None)
