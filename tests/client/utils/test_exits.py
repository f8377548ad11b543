"""A process that ends while a thread detects speech ends as it should."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

PROGRAM = """
import os, sys, time
from threading import Event, Thread

import numpy as np

from client.audio.voice_activity import SpeechDetector, VadOptions

begun = Event()

def detect():
    detector = SpeechDetector(16000, VadOptions())
    noise = np.random.default_rng(0).normal(0, 300, 1 << 18).astype(np.int16)
    while True:
        detector.advance(noise)
        begun.set()

Thread(target=detect, daemon=True).start()
begun.wait()
time.sleep(0.01 * int(sys.argv[1]))
if sys.argv[2] == "fork":
    if os.fork() == 0:
        SpeechDetector(16000, VadOptions()).advance(np.zeros(16000, np.int16))
        sys.exit(3)
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
sys.exit(3)
"""


@pytest.mark.parametrize("how", ["exit", "fork"])
@pytest.mark.parametrize("delay", range(4))
def test_a_thread_in_the_network_does_not_abort_the_process_at_its_end(how, delay):
    command = [sys.executable, "-c", PROGRAM, str(delay), how]
    ended = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (3, "")
