"""SIGTERM loses nothing that was accepted before, and waits no longer than allowed."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from server import EmbeddedServer, ServerOptions, free_ports
from server.installation import STUB_NAME
from server.processes import command_line, family
from tests.server.harness import Launched

REQUESTS = 60
AUDIO = np.random.default_rng(0).normal(0, 3000, (1, 20 * 16000)).astype(np.int16)


class Sender:
    """Sends utterances of 20 s to the demo model and keeps what came of each."""

    def __init__(self, url):
        self.client = InferenceServerClient(url)
        self.errors = []
        self.answered = threading.Semaphore(0)

    def send(self, requests):
        """Send so many at once."""
        audio = InferInput("audio_signal", list(AUDIO.shape), "INT16")
        audio.set_data_from_numpy(AUDIO)
        for _ in range(requests):
            self.client.async_infer(
                "demo", [audio], self._note, outputs=[InferRequestedOutput("tokens")]
            )

    def _note(self, **outcome):
        self.errors.append(outcome["error"])
        self.answered.release()

    def wait(self, requests):
        """Until so many more are answered or have failed."""
        for _ in range(requests):
            assert self.answered.acquire(timeout=60), "a request was neither answered nor refused"


def drain(launched):
    """A sender with many requests in flight, on a server that has begun to drain."""
    launched.wait_until_ready()
    sender = Sender(launched.url)
    sender.send(2 * REQUESTS)
    sender.wait(1)
    launched.process.terminate()
    while "draining" not in launched.said[-1]:
        launched.said.append(launched.process.stderr.readline())
    return sender


@pytest.mark.parametrize(
    ("number", "timeout_s", "lossless"),
    [(signal.SIGTERM, 60, True), (signal.SIGTERM, 0, False), (signal.SIGINT, 60, False)],
    ids=["drained", "no time", "interrupted"],
)
def test_requests_in_flight_are_answered_unless_there_is_no_time(
    demo_repository, number, timeout_s, lossless
):
    with Launched(demo_repository, f"--drain-timeout-s={timeout_s}") as launched:
        launched.wait_until_ready()
        sender = Sender(launched.url)
        sender.send(REQUESTS)
        sender.wait(1)
        launched.process.send_signal(number)
        sender.wait(REQUESTS - 1)
        status, said = launched.finish()
        sender.client.close()
    assert status == 0
    failed = [error for error in sender.errors if error is not None]
    assert not failed if lossless else failed
    assert ("draining: requests in flight" in said) == (number == signal.SIGTERM)
    assert ("requests still in flight fail" in said) == (number == signal.SIGTERM and not lossless)


def test_a_second_signal_ends_the_wait(demo_repository):
    with Launched(demo_repository, "--drain-timeout-s=60") as launched:
        sender = drain(launched)
        launched.process.terminate()
        sender.wait(2 * REQUESTS - 1)
        status, _ = launched.finish()
        sender.client.close()
    assert status == 0
    assert any(error is not None for error in sender.errors)


def test_a_server_that_is_never_idle_is_waited_for_no_longer_than_allowed(demo_repository):
    with EmbeddedServer(ServerOptions(demo_repository, **free_ports())) as server:
        assert server.drain(30)
        sender = Sender(server.grpc_url)
        sender.send(REQUESTS)
        start_s = time.monotonic()
        assert not server.drain(0.3)
        assert time.monotonic() - start_s < 10
        sender.wait(REQUESTS)
        sender.client.close()


def test_what_dies_while_the_server_drains_is_not_started_again(demo_repository):
    with Launched(demo_repository, "--drain-timeout-s=60", "--restart") as launched:
        sender = drain(launched)
        for pid in family(launched.process.pid):
            command = command_line(pid)
            if command and Path(command[0]).name == STUB_NAME and "demo_encoder" in command[1]:
                os.kill(pid, signal.SIGKILL)
        start_s = time.monotonic()
        status, said = launched.finish()
        sender.client.close()
    assert status == 0
    assert time.monotonic() - start_s < 15  # Triton itself would wait for 30 s for what was lost
    assert "died" in said
    assert said.count("server: ready") == 1
