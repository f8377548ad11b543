"""Results of many recordings: whatever interrupts the run, each line is there once in the end."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from client import Transcriber
from client.bulk.ray_engine.shards import cut_into_shards, folder_of
from client.bulk.ray_engine.worker import Job, Worker, problem_of
from client.bulk.results import Results
from client.commands.flags import FLAGS
from client.errors import ManifestError
from client.manifests.manifest import Entry

SETTINGS = {"model": "demo", "decoder": "greedy"}


def entry(line, name=None):
    return Entry(line, {"audio_filepath": name or f"{line}.wav"}, ManifestError("not used"))


def fields(line, **more):
    return {"audio_filepath": f"{line}.wav", "pred_text": f"text {line}", **more}


def failed(line):
    return {"audio_filepath": f"{line}.wav", "error": "broken"}


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


def write(path, lines, *, resume=False):
    with Results(path, SETTINGS, resume=resume) as results:
        for line, what in lines.items():
            results.add(entry(line), what)
    return results


def test_results_are_there_as_soon_as_they_are_added(path):
    with Results(path, SETTINGS, resume=False) as results:
        results.add(entry(3), fields(3))
        assert records(path) == [{"line": 3, **fields(3)}]


def test_what_is_missing_or_failed_is_done_again_and_comes_in_the_manifests_order(path):
    write(path, {1: fields(1), 2: failed(2), 4: fields(4)})
    with Results(path, SETTINGS, resume=True) as results:
        assert results.done == 2
        todo = [each.line for each in results.missing(map(entry, [1, 2, 3, 4, 5]))]
        assert todo == [2, 3, 5]
        for line in todo:
            results.add(entry(line), fields(line))
    assert records(path) == [{"line": line, **fields(line)} for line in [1, 2, 3, 4, 5]]


def test_failures_are_listed_with_their_attempts_until_they_succeed(path):
    listed = path.with_suffix(".errors.jsonl")
    write(path, {1: failed(1), 2: fields(2)})
    write(path, {1: failed(1)}, resume=True)
    assert records(listed) == [
        {"line": 1, "audio_filepath": "1.wav", "error": "broken", "attempts": 2}
    ]
    assert [each["line"] for each in records(path)] == [1, 2]
    write(path, {1: fields(1)}, resume=True)
    assert not listed.exists()


def test_an_interrupted_resume_leaves_each_line_once_and_the_failures_listed(path):
    write(path, {1: failed(1), 2: failed(2), 3: fields(3)})
    results = Results(path, SETTINGS, resume=True)
    results.add(entry(1), fields(1))
    results.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [each["line"] for each in records(path)] == [1, 2, 3]
    assert [each["line"] for each in records(path.with_suffix(".errors.jsonl"))] == [2]


def test_an_empty_file_is_no_result_to_lose(path):
    path.touch()
    write(path, {1: fields(1)})
    assert [each["line"] for each in records(path)] == [1]


@pytest.mark.parametrize("kept", [0, 1, 17])
def test_a_torn_line_is_cut_off(path, kept):
    write(path, {1: fields(1)})
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    with Results(path, SETTINGS, resume=True) as results:
        assert [each.line for each in results.missing(map(entry, [1, 2]))] == [2]
        results.add(entry(2), fields(2))
    assert [each["line"] for each in records(path)] == [1, 2]


def test_finished_results_are_not_overwritten(path):
    write(path, {1: fields(1)})
    with pytest.raises(ManifestError, match="exists already: resume it") as raised:
        Results(path, SETTINGS, resume=False)
    assert "--resume" in raised.value.text(FLAGS)
    assert raised.value.path == path
    assert records(path) == [{"line": 1, **fields(1)}]


def test_results_of_other_settings_do_not_mix(path):
    write(path, {1: fields(1)})
    with pytest.raises(ManifestError, match="made with other settings, decoder"):
        Results(path, {**SETTINGS, "decoder": "beam"}, resume=True)


def test_results_of_another_manifest_do_not_mix(path):
    write(path, {1: fields(1)})
    with (
        Results(path, SETTINGS, resume=True) as results,
        pytest.raises(ManifestError, match=r"line 1 was not other\.wav"),
    ):
        list(results.missing(iter([entry(1, "other.wav")])))


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"line": 0}', '{"line": "1"}', '{"line": true}']
)
def test_a_file_of_something_else_is_left_as_it_is(path, line):
    path.write_text(f"{line}\n")
    with pytest.raises(ManifestError, match="line 1 is no result"):
        Results(path, SETTINGS, resume=True)
    assert path.read_text() == f"{line}\n"


def test_two_processes_do_not_write_one_file(path):
    with Results(path, SETTINGS, resume=False) as results:
        for settings in (SETTINGS, {**SETTINGS, "model": "another"}):
            with pytest.raises(ManifestError, match="by another process"):
                Results(path, settings, resume=True)
        assert json.loads(results.settings_path.read_text()) == SETTINGS


def test_a_killed_process_leaves_whole_lines_and_at_most_a_torn_one(path):
    program = f"""
from tests.client.bulk.test_bulk import *
with Results(Path({str(path)!r}), SETTINGS, resume=False) as results:
    for line in range(1, 10**9):
        results.add(entry(line), fields(line, words="x" * 1000))
"""
    program = f"from pathlib import Path\n{program}"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        while not path.exists() or path.stat().st_size < 1_000_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    with Results(path, SETTINGS, resume=True) as results:
        done = results.done
    assert done > 500
    assert [each["line"] for each in records(path)] == list(range(1, done + 1))


def test_the_error_of_a_worker_on_ray_names_its_options_apart(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav"}\n')
    job = Job(partial(Transcriber, "127.0.0.1:1", "demo"), manifest, tmp_path / "out.jsonl", {})
    folder_of(job.output).mkdir()
    (shard,) = cut_into_shards(manifest, [1], 1, 10_000)
    rows = Worker(lambda: job)({"item": [shard]})
    error = problem_of({name: value for name, (value,) in rows.items()})
    assert error.message.startswith("a worker failed: the server at 127.0.0.1:1 cannot be reached")
    assert error.message in error.text(FLAGS)
    assert "--url" in error.text(FLAGS)
    assert "Transcriber.url" not in error.text(FLAGS)
