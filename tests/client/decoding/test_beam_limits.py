"""Beam search of what it cannot hold, in threads that outlive the interpreter: no crash."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest

from client.decoding import BeamDecoder, BeamOptions
from client.errors import DecoderError
from client.wire.top_tokens import TOP
from tests.client.support import CONTRACT


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"unk_score_offset": -1.7e308}, "-1.7e+308 is not in -1e+06 to 0"),
        ({"unk_score_offset": math.nan}, "nan is not in"),
        ({"beam_width": 2**64}, "is not a whole number in 1 to"),
        ({"nbest": 2**64}, "is not a whole number in 1 to"),
    ],
)
def test_numbers_that_the_search_cannot_hold_are_refused(options, problem):
    with pytest.raises(DecoderError, match=re.escape(problem)):
        BeamOptions(**options)


def test_best_tokens_of_another_shape_are_refused():
    with pytest.raises(DecoderError, match=re.escape("shape (3,), expected [frames, K]")):
        BeamDecoder(CONTRACT, BeamOptions()).decode(np.zeros(3, TOP))


def test_a_thread_that_searches_while_the_interpreter_ends_does_not_abort_it():
    code = """
import threading, time
import numpy as np
from client.decoding import BeamDecoder, BeamOptions
from tests.client.support import CONTRACT
decoder = BeamDecoder(CONTRACT, BeamOptions())
log_probs = np.log(np.random.default_rng(0).dirichlet([0.5] * 29, size=30) + 1e-9)
def search():
    while True:
        decoder.decode(log_probs)
for _ in range(3):
    threading.Thread(target=search, daemon=True).start()
time.sleep(0.1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, stderr=subprocess.PIPE
    )
    assert not done.stderr
