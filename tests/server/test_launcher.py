"""The launcher starts cleanly or says why not, notices what dies, and leaves nothing behind."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from server import (
    EmbeddedServer,
    ModelLoadError,
    OptionsError,
    PortInUseError,
    RepositoryError,
    ServerDiedError,
    ServerOptions,
    StartError,
    processes,
)
from server.errors import CrashError
from server.launcher import SHARED_MEMORY
from server.log import LogRelay
from server.ports import free_ports
from tests.server.harness import DEADLINE_S, IDENTITY_CONFIG, children, identity, write_model

ENSEMBLE = """
platform: "ensemble"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: -1 }
output { name: "y" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling {
  step {
    model_name: "echo"
    model_version: -1
    input_map { key: "x" value: "x" }
    output_map { key: "y" value: "y" }
  }
}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_model(folder, "echo", identity(), IDENTITY_CONFIG)
    return folder


@pytest.fixture
def launching(repository, tmp_path):
    """``python -m server`` as a user runs it; its temporary files lie in ``tmp_path``."""
    ports = [f"--{name.replace('_', '-')}={port}" for name, port in free_ports().items()]
    command = [sys.executable, "-m", "server", f"--repository={repository}", *ports]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


@pytest.fixture
def launcher(launching):
    """``python -m server``, ready."""
    launching.said = []
    for line in launching.stderr:
        launching.said.append(line)
        if "gRPC" in line:
            break
    return launching


def finish(launcher):
    """The exit status and all that was said until then."""
    _, rest = launcher.communicate(timeout=DEADLINE_S)
    return launcher.returncode, "".join(launcher.said) + rest


def shared_memory(pid):
    """The shared-memory regions a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if str(SHARED_MEMORY) in line}


def wait_until(condition, poll_s=0.1):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "what was waited for did not happen"
        time.sleep(poll_s)


@contextmanager
def other_server(port, status=200, body=b""):
    """A server that is not ours, and answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_the_server_and_leaves_nothing(launcher, number, tmp_path):
    (triton,) = children(launcher.pid)
    regions = shared_memory(triton)
    assert len(set(processes.session_members(triton))) == 2, "the server and one stub"
    assert all(region.exists() for region in regions)
    assert regions
    launcher.send_signal(number)
    status, said = finish(launcher)
    assert status == 0
    assert "ready: echo" in said
    assert not set(processes.session_members(triton))
    assert not [region for region in regions if region.exists()]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("poll_s", [0, 0.1], ids=["as it is started", "while models load"])
def test_a_signal_before_the_server_is_ready_leaves_nothing(launching, poll_s, tmp_path):
    wait_until(lambda: children(launching.pid), poll_s)
    (triton,) = children(launching.pid)
    launching.terminate()
    launching.communicate(timeout=DEADLINE_S)
    assert launching.returncode == 0
    assert not set(processes.session_members(triton))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("victim", "message"),
    [
        ("stub", "a worker process of echo died"),
        ("server", "the Triton server ended with signal 9"),
    ],
)
def test_a_death_is_noticed_and_leaves_nothing(launcher, victim, message, tmp_path):
    (triton,) = children(launcher.pid)
    regions = shared_memory(triton)
    (stub,) = children(triton)
    os.kill(stub if victim == "stub" else triton, signal.SIGKILL)
    status, said = finish(launcher)
    assert status == 1
    assert message in said
    assert not set(processes.session_members(triton))
    assert not [region for region in regions if region.exists()]
    assert not list(tmp_path.iterdir())


def test_no_process_and_no_region_outlives_a_killed_launcher(launcher):
    (triton,) = children(launcher.pid)
    regions = shared_memory(triton)
    launcher.kill()
    wait_until(lambda: not set(processes.session_members(triton)))
    assert not [region for region in regions if region.exists()]


def test_a_server_that_does_not_start_says_how_it_ended(repository):
    options = ServerOptions(repository, **free_ports(), extra_arguments=("--no-such-flag",))
    with pytest.raises(StartError, match="ended with exit status 1 before it was ready"):
        EmbeddedServer(options).start()


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_server_that_crashes_at_its_start_is_started_once_more(
    crashes, repository, monkeypatch, capfd
):
    server = EmbeddedServer(ServerOptions(repository, **free_ports()))
    launch, started = server._launch, []

    def crash():
        launch()
        started.append(server._running().pid)
        if len(started) <= crashes:
            os.kill(started[-1], signal.SIGABRT)

    monkeypatch.setattr(server, "_launch", crash)
    if crashes > 1:
        with pytest.raises(CrashError, match="ended with signal 6 before it was ready"):
            server.start()
    else:
        with server:
            assert server.models
    assert len(started) == 2
    assert "ended with signal 6 before it was ready; retrying" in capfd.readouterr().err
    assert not [each for pid in started for each in processes.session_members(pid)]


def test_a_server_that_is_not_ready_in_time_is_given_up(repository):
    options = ServerOptions(repository, **free_ports(), ready_timeout_s=1e-6)
    with pytest.raises(StartError, match="did not answer within 1e-06 s"):
        EmbeddedServer(options).start()


def test_another_server_on_the_port_is_not_taken_for_ours(repository):
    ports = free_ports()
    options = ServerOptions(repository, **ports, extra_arguments=("--no-such-flag",))
    server = EmbeddedServer(options)
    with other_server(ports["http_port"]):
        server._launch()
        server._running().wait(DEADLINE_S)
        with pytest.raises(StartError, match="ended with exit status 1 before it was ready"):
            server._wait_until_live()
    server.stop()


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"[]"), (200, b"<html>"), (200, b'{"a": 1}'), (200, b"[{}]")]
)
def test_what_is_no_list_of_models_is_an_error(repository, status, body):
    ports = free_ports()
    server = EmbeddedServer(ServerOptions(repository, **ports))
    with (
        other_server(ports["http_port"], status, body),
        pytest.raises(StartError, match="did not list its models: expected the repository index"),
    ):
        server._ready_models()


def test_only_the_models_asked_for_are_loaded(repository, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(repository, folder)
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "config.pbtxt").write_text("no config")
    with EmbeddedServer(ServerOptions(folder, **free_ports(), models=("echo",))) as server:
        assert server.models == ("echo",)
    with pytest.raises(ModelLoadError) as failure:
        EmbeddedServer(ServerOptions(folder, **free_ports(), models=("broken", "echo"))).start()
    assert set(failure.value.reasons) == {"broken"}


def test_an_ensemble_brings_its_steps_and_their_failures(repository, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(repository, folder)
    shutil.copytree(repository / "echo", folder / "other")
    config = (folder / "echo" / "config.pbtxt").read_text()
    (folder / "other" / "config.pbtxt").write_text(config.replace('"echo"', '"other"'))
    (folder / "both" / "1").mkdir(parents=True)
    (folder / "both" / "config.pbtxt").write_text(ENSEMBLE)
    with EmbeddedServer(ServerOptions(folder, **free_ports(), models=("both",))) as server:
        assert server.models == ("both", "echo")
    (folder / "echo" / "1" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelLoadError) as failure:
        EmbeddedServer(ServerOptions(folder, **free_ports(), models=("both",))).start()
    assert set(failure.value.reasons) == {"both", "echo"}


def test_an_unknown_model_is_refused_with_those_there_are(repository):
    options = ServerOptions(repository, **free_ports(), models=("ecco",))
    with pytest.raises(RepositoryError, match=r"expected models ecco in .*, found echo: correct"):
        EmbeddedServer(options).start()


def test_the_log_is_read_on_when_nobody_reads_ours(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    ours = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stderr", ours)
    relay = LogRelay(io.StringIO("E0101 x.cc:1] first\nE0101 x.cc:2] last\n"))
    relay.join(DEADLINE_S)
    assert relay.last_error() == "last"
    with suppress(BrokenPipeError):
        ours.close()


def test_a_process_that_cannot_be_killed_is_not_waited_for_for_ever(monkeypatch):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        with monkeypatch.context() as patch:
            patch.setattr(processes.os, "kill", lambda *_: None)
            processes.kill_session(process.pid, timeout_s=0.2)
        assert process.poll() is None
        processes.kill_session(process.pid)
        assert process.wait() == -signal.SIGKILL


def test_a_port_in_use_is_named(repository):
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports["http_port"])):
        server = EmbeddedServer(ServerOptions(repository, **ports))
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{ports['http_port']} for HTTP"):
            server.start()


@pytest.mark.parametrize(
    ("files", "message"),
    [(None, "found none"), ([], "found no folder"), (["README.md"], "found no folder")],
    ids=["missing", "empty", "no model"],
)
def test_a_repository_without_models_is_refused(tmp_path, files, message):
    folder = tmp_path / "repository"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).touch()
    with pytest.raises(RepositoryError, match=message):
        EmbeddedServer(ServerOptions(folder, **free_ports())).start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"http_port": 0}, "HTTP port is 0"),
        ({"grpc_port": 70000}, "gRPC port is 70000"),
        ({"grpc_port": "http_port"}, "three different ones"),
        ({"ready_timeout_s": 0}, "timeouts"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
        ({"host": "no.such.host.invalid"}, "no.such.host.invalid"),
    ],
)
def test_options_that_cannot_be_served_are_refused(repository, options, message):
    ports = free_ports()
    changes = {name: ports.get(value, value) for name, value in options.items()}
    with pytest.raises(OptionsError, match=message):
        EmbeddedServer(ServerOptions(repository, **{**ports, **changes})).start()


def test_the_command_line_fails_with_the_reason(tmp_path):
    command = [sys.executable, "-m", "server", f"--repository={tmp_path / 'none'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "expected a model repository" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_was_not_started_is_not_alive(repository):
    server = EmbeddedServer(ServerOptions(repository, **free_ports()))
    with pytest.raises(ServerDiedError, match="call start"):
        server.check()
    server.stop()
