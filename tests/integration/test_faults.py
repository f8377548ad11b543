"""Bulk transcription over connections that break: nothing hangs, is lost, or comes twice."""

import json
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from client import Transcriber, TransportOptions
from client.__main__ import main
from client.errors import DeadlineExceeded, ServerError
from client.manifests.manifest import read_manifest
from tests.integration.proxy import Fault, faulty_proxy, random_faults
from tests.integration.test_client_server import MANIFEST

COPIES = 12


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Many short recordings, each line told from the others."""
    path = tmp_path_factory.mktemp("faults") / "m.jsonl"
    lines = []
    for number in range(COPIES):
        for entry in read_manifest(MANIFEST):
            duration = soundfile.info(entry.item.source).duration
            clip = {"audio_filepath": str(entry.item.source), "offset": 0.1 * number}
            lines.append({**clip, "duration": duration - 0.1 * number, "number": len(lines)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def transcribe(manifest, output, url, *more):
    arguments = ["--model", "demo", "--manifest", manifest, "--format", "jsonl", "--url", url]
    return main(["transcribe", *map(str, [*arguments, "--output", output, *more])])


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(path):
    lines = records(path)
    assert [line["number"] for line in lines] == list(range(len(lines)))
    return [line["pred_text"] for line in lines]


@pytest.fixture(scope="module")
def undisturbed(manifest, server_url):
    output = manifest.with_name("undisturbed.jsonl")
    assert transcribe(manifest, output, server_url) == 0
    return texts(output)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_broken_connections_cost_only_time(manifest, undisturbed, server_url, tmp_path, seed):
    plan = [*random_faults(seed, 8, ["cut", "reset"], 600_000), Fault("delay")]
    with faulty_proxy(server_url, plan) as proxy:
        assert transcribe(manifest, tmp_path / "out.jsonl", proxy.url) == 0
        assert proxy.connections > len(plan) / 2
    assert texts(tmp_path / "out.jsonl") == undisturbed


def test_what_a_silent_connection_fails_is_done_when_the_run_is_resumed(
    manifest, undisturbed, server_url, tmp_path
):
    output = tmp_path / "out.jsonl"
    with faulty_proxy(server_url, [Fault("silence", 1_000_000)]) as proxy:
        # Each window of sixteen requests meets the deadline, and another tries again.
        start_s = time.monotonic()
        head = manifest.with_name("head.jsonl")
        head.write_text("".join(manifest.read_text().splitlines(keepends=True)[:40]))
        assert transcribe(head, output, proxy.url, "--timeout", "1.5") == 1
        assert time.monotonic() - start_s < 30
    failures = records(tmp_path / "out.errors.jsonl")
    assert failures
    assert all("no answer within 1.5 s" in each["error"] for each in failures)
    assert transcribe(manifest, output, server_url, "--resume") == 0
    assert texts(output) == undisturbed
    assert not (tmp_path / "out.errors.jsonl").exists()


@pytest.mark.parametrize("kind", ["silence", "cut", "reset"])
def test_a_request_fails_with_a_typed_error_within_its_deadline(server_url, kind):
    # Enough for the contract, and not for a recording; later connections carry nothing.
    plan = [Fault(kind, 40_000), *[Fault(kind, 0)] * 1000]
    clips = [entry.item for entry in read_manifest(MANIFEST)][:3]
    options = TransportOptions(timeout_s=1.0, connect_timeout_s=2.0)
    with (
        faulty_proxy(server_url, plan) as proxy,
        Transcriber(proxy.url, "demo", options=options) as transcriber,
    ):
        start_s = time.monotonic()
        results = list(transcriber.transcribe(clips))
        assert time.monotonic() - start_s < 10
    assert all(isinstance(result.error, ServerError) for result in results)
    if kind == "silence":
        assert all(isinstance(result.error, DeadlineExceeded) for result in results)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_client_that_is_stopped_leaves_what_it_has_and_goes_on(
    manifest, undisturbed, server_url, tmp_path, number, status
):
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "client", "transcribe", "--manifest", manifest]
    command += ["--model", "demo", "--url", server_url, "--format", "jsonl", "--output", output]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        while not output.exists() or output.stat().st_size < 20_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == status
    if number == signal.SIGINT:
        done = len(records(output))
        assert f"{done} recordings are done: go on with --resume\ninterrupted\n" == said
    assert transcribe(manifest, output, server_url, "--resume") == 0
    assert texts(output) == undisturbed
