"""After a fork: the child connects by itself or says why not, never hangs, and spares its parent.

Each test forks in an interpreter of its own, where no other test's threads are.
"""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.integration.proxy import Fault, faulty_proxy

BEFORE = """
import os, sys, time
import numpy as np
import client
from client import BeamOptions, Transcriber, TransportOptions
from client.errors import ForkError

SAMPLES = np.random.default_rng(0).integers(-3000, 3000, 16000).astype(np.int16)

def heard(transcriber, times=1):
    results = list(transcriber.transcribe([SAMPLES] * times))
    return [r.transcript.text if r.transcript else str(r.error) for r in results]

def in_child(work):
    '''The exit status of a forked child that does the work.'''
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

url = sys.argv[1]
"""


def run(script, url, **environment):
    """What a script prints, which has 60 s; it fails here when it fails there."""
    code = BEFORE + textwrap.dedent(script)
    environment = os.environ | environment
    command = [sys.executable, "-c", code, url]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_retries_by_itself_after_its_parent_has_retried(server_url):
    reset = Fault("reset", after_bytes=25_000)  # in the middle of the first request
    with faulty_proxy(server_url, [reset, Fault(), reset, Fault()]) as proxy:
        run(
            """
            def work():
                assert heard(transcriber) == expected

            transcriber = Transcriber(url, "demo", options=TransportOptions(timeout_s=20))
            expected = heard(transcriber)
            assert in_child(work) == 0
            assert heard(transcriber) == expected
            """,
            proxy.url,
        )
        assert proxy.connections == 4


def test_children_have_decoding_threads_of_their_own(server_url):
    run(
        """
        import multiprocessing

        def work(_):
            return heard(transcriber, 3)

        transcriber = Transcriber(url, "demo", decoder=BeamOptions(), threads=1)
        expected = heard(transcriber, 3)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, range(4)) == [expected] * 4
        assert heard(transcriber, 3) == expected
        transcriber.close()
        """,
        server_url,
    )


@pytest.mark.parametrize(
    "end",
    ["transcriber.close()", "del globals()['transcriber']", "sys.exit(0)", "results.close()"],
)
def test_however_a_child_ends_its_parent_goes_on(server_url, end):
    run(
        f"""
        def work():
            try:
                {end}
            finally:
                os._exit(0) if {end != "sys.exit(0)"} else None

        transcriber = Transcriber(url, "demo", decoder=BeamOptions(), threads=1)
        expected = heard(transcriber)
        results = transcriber.transcribe([SAMPLES] * 20)
        first = next(results)
        assert in_child(work) == 0
        assert [first.transcript.text, *(r.transcript.text for r in results)] == expected * 20
        """,
        server_url,
    )


def test_what_works_in_its_own_process_alone_says_so_in_a_child(server_url):
    run(
        """
        from functools import partial
        from client.wire.transport import TritonTransport

        def work():
            for use in (
                partial(next, results),
                partial(transport.submit, SAMPLES, "tokens"),
            ):
                try:
                    use()
                except ForkError as error:
                    assert "create one in each process" in str(error)
                else:
                    os._exit(1)

        transcriber = Transcriber(url, "demo")
        transport = TritonTransport(url, "demo")
        results = transcriber.transcribe([SAMPLES] * 100)
        next(results)
        assert in_child(work) == 0
        """,
        server_url,
    )


def test_a_child_without_grpcs_support_of_forks_has_an_error_and_does_not_hang(server_url):
    said = run(
        """
        def work():
            try:
                heard(transcriber)
            except ForkError as error:
                print(error, flush=True)

        transcriber = Transcriber(url, "demo")
        expected = heard(transcriber)
        assert in_child(work) == 0
        assert heard(transcriber) == expected
        """,
        server_url,
        GRPC_ENABLE_FORK_SUPPORT="0",
    )
    assert "spawn" in said
