"""Bulk transcription on Ray: as from one process, whatever is killed on the way."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

import demo
from client import Transcriber
from client.bulk.ray_engine import Job, RayEngine, RayOptions
from client.bulk.ray_engine.cluster import connected
from client.bulk.ray_engine.shards import count_start, cut_into_shards, entries_of, path_of
from client.bulk.ray_engine.worker import Worker
from client.bulk.results import Results
from client.errors import ManifestError, RayJobError
from client.manifests.manifest import read_manifest
from tests.conftest import PROJECT
from tests.integration.test_client_server import MANIFEST

LANGUAGE_MODEL = Path(demo.__file__).parent / "lm.arpa.gz"
COPIES = 16
RUN_TIMEOUT_S = 300
MARK = "not-for-any-log"
CLUSTER = """
import sys
from client.bulk.ray_engine.cluster import RayOptions, connected
with connected(RayOptions(workers=2)):
    import ray
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
# Who connects to a cluster must see itself as the cluster does.
ENVIRONMENT = {**os.environ, **TOKEN, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray on this machine; not in this process, where Ray leaves its own open."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    program = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(program, cwd=PROJECT, env=os.environ | TOKEN, **pipes) as process:
        address = process.stdout.readline().strip()
        assert address
        yield address
        process.stdin.close()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Many short recordings, and some lines that fail."""
    path = tmp_path_factory.mktemp("ray") / "m.jsonl"
    clips = [str(entry.item.source) for entry in read_manifest(MANIFEST)]
    with path.open("w", encoding="utf-8") as lines:
        for copy in range(COPIES):
            for clip in clips:
                entry = {"audio_filepath": clip, "offset": 0.05 * copy, "duration": 1.0}
                lines.write(json.dumps({**entry, "speaker": "Zoë"}, ensure_ascii=False) + "\n")
            lines.write(["\n", "no JSON\n", '{"audio_filepath": "gone.wav"}\n', ""][copy % 4])
    return path


def command(manifest, output, url, *more):
    given = ["transcribe", "--model", "demo", "--url", url, "--manifest", manifest]
    given += ["--format", "jsonl", "--output", output, *more]
    return [sys.executable, "-m", "client", *map(str, given)]


def run(*given):
    """A run of the client: its exit status, and what it says."""
    done = subprocess.run(
        command(*given),
        cwd=PROJECT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_TIMEOUT_S,
    )
    return done.returncode, done.stderr


def files(output):
    """What a run leaves, by name, byte for byte."""
    return {path.name: path.read_bytes() for path in output.parent.iterdir()}


def without_attempts(left):
    return {name: re.sub(rb'"attempts": \d+', b"", text) for name, text in left.items()}


@pytest.fixture(scope="module")
def undisturbed(manifest, server_url, tmp_path_factory):
    """What one process leaves."""
    output = tmp_path_factory.mktemp("one") / "out.jsonl"
    assert run(manifest, output, server_url)[0] == 1
    assert len(output.read_text().splitlines()) == len(list(read_manifest(manifest)))
    return files(output)


@pytest.fixture(scope="module")
def on_ray(cluster):
    """The options for the cluster."""
    return ["--engine", "ray", "--ray-address", cluster, "--workers", 2, "--shard-entries", 20]


def test_two_workers_leave_the_same_as_one_process(
    manifest, server_url, on_ray, undisturbed, tmp_path
):
    output = tmp_path / "out.jsonl"
    status, said = run(manifest, output, server_url, *on_ray)
    assert files(output) == undisturbed
    assert status == 1
    assert "gone.wav" in said


def test_what_one_process_began_two_workers_end_beam_search_too(server_url, on_ray, tmp_path):
    options = ["--decoder", "beam", "--lm", LANGUAGE_MODEL, "--nbest", "3"]
    one, two = tmp_path / "one" / "out.jsonl", tmp_path / "two" / "out.jsonl"
    one.parent.mkdir()
    assert run(MANIFEST, one, server_url, *options) == (0, f"16 recordings are in {one}\n")
    shutil.copytree(one.parent, two.parent)
    lines = one.read_bytes().splitlines(keepends=True)
    two.write_bytes(lines[2] + lines[4] + lines[5][:10])
    status, _ = run(MANIFEST, two, server_url, *options, *on_ray, "--resume")
    assert status == 0
    assert files(two) == files(one)


def test_a_killed_worker_costs_only_time(manifest, server_url, on_ray, undisturbed, tmp_path):
    output = tmp_path / "out.jsonl"
    with killing_a_worker(output) as killed:
        status, _ = run(manifest, output, server_url, *on_ray)
    assert killed
    assert status == 1
    assert files(output) == undisturbed


def test_a_killed_driver_is_gone_on_with(manifest, server_url, on_ray, undisturbed, tmp_path):
    output = tmp_path / "out.jsonl"
    logs = Path(tempfile.mkdtemp(prefix="ray"))  # Ray's sockets need a short path
    own = "--engine ray --workers 2 --shard-entries 20 --header x-token=env:TOKEN".split()
    given = command(manifest, output, server_url, *own)
    environment = {**os.environ, "RAY_TMPDIR": str(logs), "TOKEN": MARK}
    with subprocess.Popen(given, cwd=PROJECT, env=environment) as driver:
        wait_until(lambda: output.exists() and output.stat().st_size and writers(output))
        driver.send_signal(signal.SIGKILL)
    before = output.read_text(encoding="utf-8").splitlines()
    assert 0 < len(before) < len(undisturbed["out.jsonl"].splitlines())
    status, _ = run(manifest, output, server_url, *on_ray, "--resume")
    # What failed before the driver was killed has been tried once more.
    assert without_attempts(files(output)) == without_attempts(undisturbed)
    assert status == 1
    written = [path for path in logs.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if MARK.encode() in path.read_bytes()]
    shutil.rmtree(logs, ignore_errors=True)  # the last of its processes may still write


def test_what_no_worker_can_do_ends_the_job_with_its_reason(server_url, on_ray, tmp_path):
    output = tmp_path / "out.jsonl"
    options = ["--decoder", "beam", "--lm", tmp_path / "gone.arpa"]
    status, said = run(MANIFEST, output, server_url, *options, *on_ray)
    assert status == 1
    assert "error: a worker failed" in said
    assert "gone.arpa" in said
    assert "Traceback" not in said


def test_shards_that_a_killed_driver_left_are_taken_in_and_not_doubled(tmp_path):
    manifest, output = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    fields = [{"audio_filepath": f"{line}.wav", "pred_text": str(line)} for line in range(1, 6)]
    manifest.write_text("".join(json.dumps(each) + "\n" for each in fields))
    records = [json.dumps({"line": line, **each}) for line, each in enumerate(fields, start=1)]
    output.write_text("\n".join(records[1:3]) + "\n")
    job = Job(partial(Transcriber, "nowhere", "demo"), manifest, output, {})
    path_of(output, 0).parent.mkdir()
    path_of(output, 0).write_text("\n".join([*records[:3], records[4][:9]]))
    path_of(output, 7).write_text("\n".join(reversed(records[3:])) + "\n")
    engine = RayEngine(job, RayOptions(address="not needed"), resume=True)
    with Results(output, {}, resume=True) as results:
        assert [entry.line for entry, _ in engine.transcribe(results)] == [1, 4, 5]
    assert output.read_text().splitlines() == records
    assert not path_of(output, 0).parent.exists()
    path_of(output, 0).parent.mkdir()
    with pytest.raises(ManifestError, match="resume it"):
        RayEngine(job, RayOptions(address="not needed"), resume=False)


def test_a_recording_that_kills_every_worker_ends_the_job(server_url, tmp_path):
    job = Job(partial(Transcriber, server_url, "demo"), MANIFEST, tmp_path / "out.jsonl", {})
    (shard,) = cut_into_shards(MANIFEST, [3, 4], 2, 10_000)
    path = path_of(job.output, shard.index)
    path.parent.mkdir()
    assert [count_start(path, line) for line in (3, 4, 3, 3, 3, 3)] == [1, 1, 2, 3, 4, 5]
    (problem,) = Worker(lambda: job)({"item": [shard]})["problem"]
    assert "5 workers died at line 3" in problem


def test_a_cluster_that_is_not_there_is_said_to_be_so_at_once():
    nowhere = RayOptions(address="127.0.0.1:1")
    with pytest.raises(RayJobError, match=r"127\.0\.0\.1:1 .*refused"), connected(nowhere):
        pass


def test_a_ray_of_our_own_listens_to_this_machine_alone(cluster):
    assert cluster.startswith("127.0.0.1:")
    token = f"RAY_AUTH_TOKEN={TOKEN['RAY_AUTH_TOKEN']}"
    sockets = {
        link.removeprefix("socket:[").removesuffix("]")
        for process in processes_with(token)
        for link in links(process)
        if link.startswith("socket:")
    }
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets]
    assert len(listening) > 3
    # 127.0.0.1, itself and in IPv6, and ::1, as the kernel writes them.
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert set(listening) <= loopback


@pytest.mark.parametrize("most_entries", [1, 3, 100])
@pytest.mark.parametrize("most_bytes", [1, 60, 10_000])
@pytest.mark.parametrize("lines", [[], [1], [2, 3, 4, 6, 9], range(1, 11)])
def test_shards_hold_each_line_once(tmp_path, lines, most_entries, most_bytes):
    manifest = tmp_path / "m.jsonl"
    texts = [json.dumps({"audio_filepath": "é" * n}, ensure_ascii=False) for n in range(1, 11)]
    texts[6] = ""
    manifest.write_bytes("\r\n".join(texts).encode())
    shards = list(cut_into_shards(manifest, lines, most_entries, most_bytes))
    assert [shard.index for shard in shards] == list(range(len(shards)))
    entries = [list(entries_of(manifest, shard)) for shard in shards]
    assert [entry.line for shard in entries for entry in shard] == list(lines)
    whole = {entry.line: entry for entry in read_manifest(manifest)}
    assert all(whole.get(entry.line, entry) == entry for shard in entries for entry in shard)
    for shard in entries:
        size = sum(len(texts[line - 1].encode()) for line in range(shard[0].line, shard[-1].line))
        assert len(shard) <= most_entries
        assert len(shard) == 1 or size <= most_bytes


def wait_until(holds):
    deadline_s = time.monotonic() + RUN_TIMEOUT_S
    while not (found := holds()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return found


def processes_with(variable):
    """The folders in /proc of the processes that have it in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # gone, or another user's
            if variable.encode() in environment.read_bytes().split(b"\0"):
                found.append(environment.parent)
    return found


def links(process):
    """What a process has open."""
    found = []
    for descriptor in process.glob("fd/*"):
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found


def writers(output):
    """Processes that write a shard which has results already."""
    shards = [
        str(path)
        for path in output.with_suffix(".shards").glob("*.jsonl")
        if path.stem.isdecimal() and path.stat().st_size
    ]
    processes = Path("/proc").glob("[0-9]*")
    return [int(each.name) for each in processes if not set(shards).isdisjoint(links(each))]


@contextmanager
def killing_a_worker(output):
    """Kill one of those that write a shard; gives the list that its process id comes into."""
    killed = []

    def kill():
        pid = wait_until(lambda: writers(output))[0]
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    yield killed
    thread.join()
