"""What dies is started again on the same ports, ever later, and not for ever."""

import os
import signal

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from server import RestartLimitError, RestartLimits
from server.supervisor import Deaths
from tests.server.harness import IDENTITY_CONFIG, Launched, children, identity, write_model

DIES = """
import os, threading

class TritonPythonModel:
    def initialize(self, args):
        threading.Timer(1.0, os._exit, [1]).start()

    def execute(self, requests):
        return []
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    write_model(folder, "echo", identity(), IDENTITY_CONFIG)
    return folder


def echoes(url):
    x = InferInput("x", [1, 2], "FP32")
    x.set_data_from_numpy(np.array([[1, 2]], np.float32))
    with InferenceServerClient(url) as client:
        return client.infer("echo", [x]).as_numpy("y").tolist() == [[1, 2]]


def test_what_was_killed_serves_again_until_it_was_too_often(repository):
    with Launched(repository, "--restart", "--restart-limit=2") as launched:
        launched.wait_until_ready()
        first = launched.triton()
        os.kill(first, signal.SIGKILL)
        launched.wait_until_ready()
        assert launched.triton() != first
        assert echoes(launched.url)
        (stub,) = children(launched.triton())
        os.kill(stub, signal.SIGKILL)
        launched.wait_until_ready()
        assert echoes(launched.url)
        os.kill(launched.triton(), signal.SIGKILL)
        status, said = launched.finish()
    assert status == 1
    assert "ended with signal 9; restarting in 0.5 s" in said
    assert "a worker process of echo died" in said
    assert "restarting in 1 s" in said
    assert "restarted 2 times in the last 300 s, giving up" in said


def test_a_model_that_dies_at_once_is_given_up(tmp_path):
    config = {**IDENTITY_CONFIG, "backend": "python"}
    write_model(tmp_path, "dies", identity(), config)
    (tmp_path / "dies" / "1" / "model.py").write_text(DIES)
    with Launched(tmp_path, "--restart", "--restart-limit=1") as launched:
        status, said = launched.finish()
    assert status == 1
    assert said.count("server: ready") == 2
    assert "a worker process of dies died" in said
    assert "restarted 1 times" in said


def test_what_cannot_start_is_not_tried_again(tmp_path):
    with Launched(tmp_path / "none", "--restart") as launched:
        status, said = launched.finish()
    assert status == 1
    assert "restarting" not in said
    assert "expected a model repository" in said


def test_a_signal_ends_the_wait_for_a_restart(repository):
    with Launched(repository, "--restart") as launched:
        launched.wait_until_ready()
        os.kill(launched.triton(), signal.SIGKILL)
        while "restarting" not in launched.said[-1]:
            launched.said.append(launched.process.stderr.readline())
        launched.process.terminate()
        status, said = launched.finish()
    assert status == 0
    assert said.endswith("server: stopped\n")


def test_waits_grow_and_old_deaths_are_forgotten():
    now_s = 0.0
    limits = RestartLimits(most=4, window_s=100, first_s=1, longest_s=5)
    deaths = Deaths(limits, lambda: now_s)
    error = Exception("it died")
    assert [deaths.wait_s(error) for _ in range(4)] == [1, 2, 4, 5]
    with pytest.raises(RestartLimitError, match="it died; restarted 4 times"):
        deaths.wait_s(error)
    now_s = 101.0
    assert deaths.wait_s(error) == 1
