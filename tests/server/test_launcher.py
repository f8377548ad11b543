"""The launcher starts cleanly or says why not, notices what dies, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server import (
    EmbeddedServer,
    OptionsError,
    PortInUseError,
    RepositoryError,
    ServerDiedError,
    ServerOptions,
    StartError,
    processes,
)
from server.launcher import SHARED_MEMORY
from server.ports import free_ports
from tests.server.harness import IDENTITY_CONFIG, identity, write_model

DEADLINE_S = 60


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


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def shared_memory(pid):
    """The shared-memory regions a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if str(SHARED_MEMORY) in line}


def wait_until(condition):
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "what was waited for did not happen"
        time.sleep(0.1)


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


def test_a_signal_while_models_load_leaves_nothing(launching, tmp_path):
    wait_until(lambda: children(launching.pid))
    (triton,) = children(launching.pid)
    launching.terminate()
    launching.communicate(timeout=DEADLINE_S)
    assert launching.returncode == 0
    assert not set(processes.session_members(triton))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("victim", "message"),
    [("stub", "a process of echo died"), ("server", "the Triton server ended with signal 9")],
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


def test_a_server_that_is_not_ready_in_time_is_given_up(repository):
    options = ServerOptions(repository, **free_ports(), ready_timeout_s=1e-6)
    with pytest.raises(StartError, match="did not answer within 1e-06 s"):
        EmbeddedServer(options).start()


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
