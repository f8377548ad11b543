"""The pool decodes what one decoder decodes, whatever becomes of its processes."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from client.decoding import BeamOptions, make_decoder
from client.decoding.pool import DecoderPool
from client.errors import DecoderError
from tests.client.decoding import decoders
from tests.client.decoding.decoders import Echo, Fragile, Gated, Scripted, Signed
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of

TIMEOUT_S = 60  # of what should not take a second
WORDS = ["cat", "cot", "dog", "bird", "horse"]


@pytest.fixture
def beam(tmp_path):
    arpa = tmp_path / "model.arpa"
    arpa.write_text(ARPA)
    return partial(make_decoder, CONTRACT, BeamOptions(lm=arpa))


@pytest.fixture
def gate():
    """Where ``Gated`` calls: who is accepted is decoding, and goes on when closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        yield server


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No test leaves a process, not even a dead one, nor a thread, nor an open pipe."""
    children, threads, files = what_we_hold()
    yield
    children_after, threads_after, files_after = what_we_hold()
    assert children_after <= children
    assert threads_after <= threads
    assert files_after <= files


def what_we_hold():
    ourselves = Path("/proc/self")
    children = {
        pid for task in ourselves.glob("task/*/children") for pid in task.read_text().split()
    }
    return children, threading.active_count(), len([*ourselves.glob("fd/*")])


def submit(pool, *words):
    return [pool.submit(np.array([word])) for word in words]


def texts(futures):
    return [future.result(TIMEOUT_S).text for future in futures]


def kill(pid):
    """Kill a worker and wait for its end, unless the pool is faster."""
    os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def gated(gate):
    return partial(Gated, gate.getsockname()[1])


def spoken_sentences(number, seed=0):
    """Log-probabilities of random words, and enough noise to put others beside them."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        log_probs = peaky(tokens_of(" ".join(rng.choice(WORDS, 3))), CONTRACT.blank + 1)
        log_probs = log_probs + 3 * rng.standard_normal(log_probs.shape)
        yield (log_probs - np.logaddexp.reduce(log_probs, axis=1, keepdims=True)).astype(np.float32)


def test_futures_hold_the_transcripts_that_one_decoder_makes(beam):
    utterances = [*spoken_sentences(100)]
    decoder = beam()
    expected = [decoder.decode(log_probs, 0.3) for log_probs in utterances]
    decoder.close()
    with DecoderPool(beam, 2) as pool:
        futures = [pool.submit(log_probs, 0.3) for log_probs in utterances]
        assert [future.result(TIMEOUT_S) for future in futures] == expected


def test_killed_workers_lose_nothing(beam):
    rng = np.random.default_rng(0)
    utterances = [*spoken_sentences(100)]
    decoder = beam()
    expected = [decoder.decode(log_probs).text for log_probs in utterances]
    decoder.close()
    with DecoderPool(partial(Signed, beam), 2) as pool:
        for _ in range(10):  # one death a turn, for the second over an utterance is its end
            futures = [pool.submit(log_probs) for log_probs in utterances]
            pid, _ = texts([futures[rng.integers(100)]])[0].split(" ", 1)
            kill(int(pid))
            assert [text.split(" ", 1)[1] for text in texts(futures)] == expected


def test_workers_killed_in_the_middle_of_messages_lose_nothing():
    arrays = [np.full((1000, 1025), value, np.float32) for value in range(6)]  # 4 MB each
    with DecoderPool(Echo, 1) as pool:
        for awaited in [0, 1, 2, 3, 4, 5] * 2:
            futures = [pool.submit(array) for array in arrays]
            wait(futures[:awaited], TIMEOUT_S)
            kill(pool._workers[0]._process.pid)
            for array, text in zip(arrays, texts(futures), strict=True):
                assert_echo(array, text)


def assert_echo(array, text):
    """Compares digests, for pytest would explain a difference of megabytes at length."""
    assert len(text) == array.nbytes
    assert text.count(f"{zlib.crc32(array.tobytes()):08x}") == array.nbytes // 8


def test_arrays_and_transcripts_larger_than_pipes_go_through():
    arrays = [np.full((5000, 1025), value, np.float32) for value in range(3)]  # 20 MB each
    with DecoderPool(Echo, 1) as pool:
        for array, text in zip(arrays, texts(map(pool.submit, arrays)), strict=True):
            assert_echo(array, text)


@pytest.mark.parametrize("array", [np.zeros((0, 29)), np.arange(12.0).reshape(3, 4).T[::2]])
def test_arrays_without_frames_or_with_strides_go_through(array):
    with DecoderPool(Echo, 1) as pool:
        assert_echo(array, pool.submit(array).result(TIMEOUT_S).text)


@pytest.mark.parametrize(
    ("order", "fate"),
    [("exit", "exit status 3"), ("kill", "signal 9"), ("unpicklable", "exit status 1")],
)
def test_an_utterance_that_crashes_workers_fails_alone(order, fate):
    many = WORDS * 5
    with DecoderPool(Scripted, 1) as pool:
        before, (poison,), after = (submit(pool, *words) for words in (many, [order], many))
        error = poison.exception(TIMEOUT_S)
        assert isinstance(error, DecoderError)
        assert "shape (1,) crashed two" in str(error)
        assert fate in str(error)
        assert texts(before) == texts(after) == many


def test_an_utterance_that_crashes_one_worker_is_decoded_by_the_next(tmp_path):
    with DecoderPool(partial(Fragile, tmp_path / "marker", missing_then=False), 1) as pool:
        assert texts(submit(pool, "cat", "once", "dog")) == ["cat", "once", "dog"]


def test_workers_that_die_idle_are_replaced():
    with DecoderPool(Scripted, 2) as pool:
        texts(submit(pool, *WORDS * 20))  # both are up
        for worker in pool._workers:
            kill(worker._process.pid)
        assert texts(submit(pool, *WORDS)) == WORDS


def test_a_factory_that_fails_later_fails_what_waits(tmp_path):
    with DecoderPool(partial(Fragile, tmp_path / "marker", missing_then=True), 1) as pool:
        futures = submit(pool, "once", *WORDS)
        for future in futures:
            assert str(future.exception(TIMEOUT_S)) == "the language model is gone"
        with pytest.raises(DecoderError, match="the language model is gone"):
            submit(pool, "cat")


def test_a_missing_language_model_is_reported_as_without_a_pool(tmp_path):
    make = partial(make_decoder, CONTRACT, BeamOptions(lm=tmp_path / "none.arpa"))
    with pytest.raises(DecoderError) as alone:
        make()
    with pytest.raises(DecoderError) as pooled:
        DecoderPool(make, 2)
    assert str(pooled.value) == str(alone.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (decoders.make_nothing, "cannot make its decoder: ZeroDivisionError: what factories"),
        (decoders.make_exit, "ended with exit status 4 while starting, 3 times"),
    ],
)
def test_a_factory_that_fails_is_an_error_of_the_constructor(make, message):
    with pytest.raises(DecoderError, match=message):
        DecoderPool(make, 2)


def test_factories_that_cannot_be_pickled_are_refused():
    with pytest.raises(TypeError, match="expected a function of a module"):
        DecoderPool(lambda: None, 1)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_a_pool_without_processes_or_queue_is_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        DecoderPool(Scripted, *sizes)


def test_errors_of_decoding_come_back_as_themselves():
    with DecoderPool(Scripted, 1) as pool:
        refused, awkward, failed, well = submit(pool, "refuse", "refuse awkwardly", "fail", "cat")
        with pytest.raises(DecoderError, match=r"^no such token$"):
            refused.result(TIMEOUT_S)
        with pytest.raises(DecoderError, match=r"AwkwardError: no such token in frame 7$"):
            awkward.result(TIMEOUT_S)
        with pytest.raises(DecoderError, match=r"the decoder failed: ZeroDivisionError") as raised:
            failed.result(TIMEOUT_S)
        assert "decoders.py" in raised.value.__notes__[0]  # where it was
        assert texts([well]) == ["cat"]


def test_what_libraries_print_goes_to_standard_error(capfd):
    with DecoderPool(Scripted, 1) as pool:
        assert texts(submit(pool, "print")) == ["print"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "chatter\nof libraries\n"


def test_workers_compute_in_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with DecoderPool(Scripted, 1) as pool:
        assert texts(submit(pool, "threads")) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "8"


def test_submit_waits_while_the_queue_is_full(gate):
    read = []

    def words():
        for word in map(str, range(12)):
            read.append(word)
            yield word

    with ThreadPoolExecutor() as thread, DecoderPool(gated(gate), 1, max_queued=2) as pool:
        submitted = thread.submit(lambda: [submit(pool, word)[0] for word in words()])
        for decoded in range(12):
            assert len(read) <= decoded + 2 + 2 + 1  # decoded, in hand, queued, at the door
            gate.accept()[0].close()
        assert texts(submitted.result(TIMEOUT_S)) == [*map(str, range(12))]


def test_cancelled_utterances_are_not_decoded(gate):
    with DecoderPool(gated(gate), 1) as pool:
        held = submit(pool, "cat")
        with gate.accept()[0]:  # while it is being decoded
            unwanted, wanted = submit(pool, "dog", "bird")
            assert unwanted.cancel()
        gate.accept()[0].close()
        assert texts([*held, wanted]) == ["cat", "bird"]


def test_closing_fails_what_is_not_decoded(gate):
    pool = DecoderPool(gated(gate), 1, max_queued=2)
    held = submit(pool, "cat")
    with gate.accept()[0], ThreadPoolExecutor() as thread:
        queued, cancelled = submit(pool, "dog", "bird")
        assert cancelled.cancel()
        submitted = thread.submit(submit, pool, "horse")
        assert wait([submitted], 0.1).not_done
        pool.close()
        pool.close()
        for future in [*held, queued, submitted]:
            with pytest.raises(DecoderError, match="pool is closed"):
                future.result(TIMEOUT_S)
        assert cancelled.cancelled()
    with pytest.raises(DecoderError, match="pool is closed"):
        submit(pool, "cat")


def test_pools_and_threads_do_not_mix_up_utterances():
    with DecoderPool(Scripted, 1) as one, DecoderPool(Scripted, 1) as other:
        with ThreadPoolExecutor(4) as threads:
            words = [[f"{thread}.{turn}" for turn in range(200)] for thread in range(4)]
            futures = threads.map(submit, [one, other] * 2, *zip(*words, strict=True))
        assert [texts(each) for each in futures] == words


SCRIPT = """
import sys
import numpy as np
from client.decoding.pool import DecoderPool
from tests.client.decoding.decoders import Scripted

print("the script runs", flush=True)
pool = DecoderPool(Scripted, 2)
futures = [pool.submit(np.array([word])) for word in "a b c d e f".split()]
print(*[future.result().text for future in futures], flush=True)
"""
HOLDS_AN_UTTERANCE = """
from functools import partial
import numpy as np
from client.decoding.pool import DecoderPool
from tests.client.decoding.decoders import Gated

pool = DecoderPool(partial(Gated, {port}), 1)
future = pool.submit(np.array(["cat"]))
print(pool._workers[0]._process.pid, flush=True)
future.result()
"""
AND_WAITS = """
print(*[worker._process.pid for worker in pool._workers], flush=True)
with pool:
    sys.stdin.read()
"""


@contextmanager
def running(*arguments, **options):
    """A Python program beside ours, in a session of its own as in a terminal's."""
    program = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    with program:
        try:
            yield program
        finally:
            program.kill()


@contextmanager
def ending(*pids):
    """Processes that are there, and end in time when the block has run."""
    handles = [os.pidfd_open(pid) for pid in pids]
    yield
    for handle in handles:
        assert select.select([handle], [], [], TIMEOUT_S)[0]
        os.close(handle)


def test_a_script_needs_neither_a_main_guard_nor_to_close_the_pool(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with running(script, cwd=tmp_path) as program:
        out, err = program.communicate(timeout=TIMEOUT_S)
    assert (out, err, program.returncode) == ("the script runs\na b c d e f\n", "", 0)


def test_a_script_may_come_on_standard_input(tmp_path):
    with running("-", cwd=tmp_path) as program:
        out, err = program.communicate(SCRIPT, timeout=TIMEOUT_S)
    assert (out, err, program.returncode) == ("the script runs\na b c d e f\n", "", 0)


def test_a_factory_of_the_script_itself_is_refused(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("pool =", "class Scripted(Scripted): pass\npool ="))
    with running(script) as program:
        out, err = program.communicate(timeout=TIMEOUT_S)
    assert out == "the script runs\n"
    assert "DecoderError: what makes a decoder is not in a module that" in err


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(end):
    with running("-c", SCRIPT + AND_WAITS) as program:
        assert [program.stdout.readline() for _ in range(2)][1] == "a b c d e f\n"
        with ending(*map(int, program.stdout.readline().split())):
            os.killpg(program.pid, end)  # as Ctrl-C in a terminal reaches all of its programs
        _, err = program.communicate(timeout=TIMEOUT_S)
    assert err.count("Traceback") == (end == signal.SIGINT)  # the program's own


def test_workers_end_with_their_parent_in_the_middle_of_an_utterance(gate):
    script = HOLDS_AN_UTTERANCE.format(port=gate.getsockname()[1])
    with (
        running("-c", script) as program,
        gate.accept()[0],
        ending(int(program.stdout.readline())),
    ):
        program.kill()
