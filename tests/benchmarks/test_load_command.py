"""``serve``, ``soak``, ``scale`` and ``crosscheck`` on the real server with the demo model."""

import json
import os
import re
import signal
import sys
import threading
import time
from base64 import b64encode

import pytest

from benchmarks.__main__ import main
from benchmarks.commands import crosscheck, scale
from benchmarks.commands import soak as soak_command
from benchmarks.errors import LoadError, ProviderError
from benchmarks.load import soak, watch
from benchmarks.load.page import page
from benchmarks.load.perf_analyzer import Job, measure, parse
from benchmarks.load.sending import CLOSED, OPEN, Level
from benchmarks.load.sweep import Points, Turn, turns
from benchmarks.report import Cells, markdown
from server.processes import children, command_line

FAKE_ANALYZER = f"""#!{sys.executable}
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
(step,) = json.load(open(given["--input-data"]))["data"]
audio = step["audio_signal"]
assert audio["shape"] == [len(audio["content"])]
with open(given["-f"], "w") as table:
    table.write("Inferences/Second,Avg latency,p50 latency,p95 latency,p99 latency\\n")
    table.write(f"{{given['--concurrency-range']}},{{audio['shape'][0]}},1,1,1\\n")
"""
PNG = "data:image/png;base64,"
QUICK = ["--model", "demo", "--seconds", "0.5", "--warmup", "0.2", "--lengths", "uniform:0.5:1.5"]


@pytest.fixture(scope="module")
def measured(server_url, tmp_path_factory):
    """A short sweep, both kinds of load."""
    output = tmp_path_factory.mktemp("serve") / "run.json"
    levels = ["--concurrency", "1", "4", "--rate", "20", "--repeats", "1"]
    # Longer than QUICK: on a busy machine half a second may hold no whole request.
    arguments = ["serve", "--url", server_url, *QUICK, "--seconds", "3", "--output", str(output)]
    assert main([*arguments, *levels]) == 0
    return arguments, output, output.read_text(encoding="utf-8")


def test_a_run_has_all_figures_and_its_circumstances(measured):
    document = json.loads(measured[2])
    assert [(point["kind"], point["level"]) for point in document["points"]] == [
        (CLOSED, 1),
        (CLOSED, 4),
        (OPEN, 20),
    ]
    for point in document["points"]:
        figures = point["figures"]
        assert figures["requests"] > 0
        assert figures["failed"] == 0
        assert figures["rtfx"] > 0
        assert set(figures["mean_batch"]) == {"demo_preprocessor", "demo_encoder", "demo_decoder"}
        assert figures["stages_ms"]["encoder"] > 0
        assert figures["request_bytes_per_audio_s"] == pytest.approx(32_000)
        assert figures["server"] is None  # its process is not ours to look at
    assert {"date", "command", "revision", "cpu", "packages"} <= set(document)
    assert len(document["lengths_s"]) == 256


def test_table_plot_and_page_with_the_plot_lie_beside_it(measured):
    _, output, _ = measured
    assert "| 4 in flight |" in output.with_suffix(".md").read_text(encoding="utf-8")
    plot = output.with_suffix(".png").read_bytes()
    assert plot.startswith(b"\x89PNG")
    html = output.with_suffix(".html").read_text(encoding="utf-8")
    assert f'src="{PNG}{b64encode(plot).decode()}"' in html
    assert "<td>20 requests/s</td>" in html


def test_the_page_refers_to_nothing_outside_it(measured):
    html = measured[1].with_suffix(".html").read_text(encoding="utf-8")
    html = re.sub(f'<img [^>]*src="{PNG}[^"]*">', "", html)
    assert not re.search(r"https?:|//|<link|<script|<img|@import|url\(|src=|href=", html)
    assert "prefers-color-scheme: dark" in html


def test_what_comes_from_elsewhere_is_escaped_on_the_page(measured):
    document = json.loads(measured[2])
    document["settings"]["model"] = document["audio"] = "<script>"
    assert "<script" not in page(document, b"")


def test_resuming_measures_what_is_missing_and_keeps_the_rest(measured):
    arguments, output, text = measured
    levels = ["--concurrency", "1", "2", "4", "--rate", "20", "--repeats", "1", "--resume"]
    assert main([*arguments, *levels]) == 0
    before, after = (json.loads(each)["points"] for each in (text, output.read_text("utf-8")))
    assert after[:3] == before
    assert [(point["kind"], point["level"]) for point in after[3:]] == [(CLOSED, 2)]


def test_other_settings_are_another_run(measured, capsys):
    arguments, *_ = measured
    assert main([*arguments, "--seed", "1", "--resume"]) == 1
    assert "was measured with other seed" in capsys.readouterr().err


def test_a_model_served_otherwise_is_another_run(measured, tmp_path, capsys):
    arguments, _, text = measured
    document = json.loads(text)
    (group,) = document["settings"]["served"]["steps"]["encoder"]["instance_group"]
    group["count"] += 1
    output = tmp_path / "run.json"
    output.write_text(json.dumps(document), encoding="utf-8")
    assert main([*arguments, "--output", str(output), "--resume"]) == 1
    assert "was measured with other served" in capsys.readouterr().err


def test_a_server_that_is_killed_ends_the_run_and_leaves_what_was_measured(
    demo_repository, tmp_path, capsys
):
    output = tmp_path / "run.json"
    before = children(os.getpid())

    def kill_after_the_first_point():
        deadline_s = time.monotonic() + 30
        while not output.exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        for pid in children(os.getpid()) - before:
            if "tritonserver" in command_line(pid)[0]:
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_after_the_first_point)
    killer.start()
    arguments = ["serve", "--repository", str(demo_repository), *QUICK, "--output", str(output)]
    assert main([*arguments, "--concurrency", "2", "--repeats", "50"]) == 1
    killer.join()
    assert "signal 9" in capsys.readouterr().err
    points = json.loads(output.read_text(encoding="utf-8"))["points"]
    assert points
    server = points[0]["figures"]["server"]
    assert server["rss_last_mb"] > 50
    assert set(points[0]["figures"]["server_cpu_s_per_audio_s"]) == {
        "triton",
        "preprocessor",
        "encoder",
        "decoder",
    }
    assert output.with_suffix(".html").exists()


def test_scale_measures_lengths_and_concurrencies(server_url, tmp_path, capsys):
    output = tmp_path / "scale.json"
    arguments = ["scale", "--url", server_url, *QUICK, "--most-seconds", "8", "--rounds", "2"]
    levels = ["--concurrency", "1", "4", "--repeats", "1", "--output", str(output)]
    assert main([*arguments, *levels]) == 0
    printed = capsys.readouterr().out
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["length"]["lengths_s"] == [1, 2, 5, 8]
    assert report["length"]["fit"]["verdict"] in " ".join(printed.split())
    assert report["concurrency"]["concurrency"] == [1, 4]
    assert "curve is off by" in output.with_suffix(".md").read_text(encoding="utf-8")
    assert output.with_suffix(".png").exists()
    more = ["--concurrency", "1", "2", "4", "--repeats", "1", "--output", str(output), "--resume"]
    assert main([*arguments, *more]) == 0
    resumed = json.loads(output.read_text(encoding="utf-8"))
    assert resumed["length"] == report["length"]
    assert resumed["points"][:2] == report["points"]
    assert resumed["concurrency"]["concurrency"] == [1, 2, 4]
    assert main([*arguments, *more, "--most-seconds", "9"]) == 1
    assert "measured with other most_seconds" in capsys.readouterr().err


def test_a_scale_that_is_cut_short_leaves_what_was_measured(
    server_url, tmp_path, monkeypatch, capsys
):
    def die(*_):
        raise LoadError("the server died")

    monkeypatch.setattr(scale, "sweep", die)
    output = tmp_path / "scale.json"
    arguments = ["scale", "--url", server_url, *QUICK, "--most-seconds", "8", "--rounds", "1"]
    assert main([*arguments, "--output", str(output)]) == 1
    assert "the server died" in capsys.readouterr().err
    report = json.loads(output.read_text(encoding="utf-8"))
    assert (report["length"]["lengths_s"], report["points"]) == ([1, 2, 5, 8], [])
    assert output.with_suffix(".md").exists()


def test_a_soak_says_how_throughput_and_memory_went(server_url, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.1)
    monkeypatch.setattr(soak, "PIECE_S", 0.5)
    output = tmp_path / "soak.json"
    soaked = [each for each in QUICK if each not in ("--seconds", "0.5")]
    arguments = ["soak", "--url", server_url, *soaked, "--concurrency", "2"]
    assert main([*arguments, "--minutes", "0.1", "--output", str(output)]) == 0
    report = json.loads(output.read_text(encoding="utf-8"))
    assert "soak longer" in report["growth"]["client"]["verdict"]
    assert report["growth"]["client"]["most_mb"] > 10
    assert report["pieces"] > 1
    assert report["requests"] > 1
    assert report["rtfx"]["least"] <= report["rtfx"]["median"] <= report["rtfx"]["most"]
    assert report["ended"] == ""
    assert output.with_suffix(".png").exists()


def test_a_soak_keeps_what_it_has_meanwhile(server_url, tmp_path, monkeypatch):
    told = []

    def interrupt(found):
        told.append(len(found.pieces))
        if len(told) > 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "EVERY_S", 0.1)
    monkeypatch.setattr(soak, "PIECE_S", 0.5)
    monkeypatch.setattr(soak_command, "_tell", interrupt)
    output = tmp_path / "soak.json"
    soaked = [each for each in QUICK if each not in ("--seconds", "0.5")]
    arguments = ["soak", "--url", server_url, *soaked, "--concurrency", "2"]
    assert main([*arguments, "--minutes", "1", "--output", str(output)]) == 130
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["ended"].startswith("not yet")
    assert told == [1, 2]
    assert report["pieces"] == 2
    assert report["load"] == "2 in flight"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "localhost"], "expected host:port"),
        (["--url", "localhost:1"], "cannot be reached"),
        (["--repository", "nowhere"], "expected a model repository"),
    ],
)
def test_a_server_that_is_not_there_is_an_error(capsys, arguments, message):
    assert main(["serve", *arguments, *QUICK]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --url --repository is required"),
        (["--url", "localhost:1", "--resume"], "needs --output"),
        (["--url", "localhost:1", "--concurrency", "0"], "expected a whole number above 0"),
        (["--url", "localhost:1", "--alpha", "1"], "needs --decoder beam"),
    ],
)
def test_a_wrong_command_line_is_explained(capsys, arguments, message):
    with pytest.raises(SystemExit) as usage:
        main(["serve", *arguments, *QUICK])
    assert usage.value.code == 2
    assert message in capsys.readouterr().err


def test_levels_take_turns_and_another_begins_each_round():
    one, two = Level(CLOSED, 1), Level(OPEN, 2)
    assert list(turns([one, two], 2)) == [
        Turn(one, 0),
        Turn(two, 0),
        Turn(two, 1),
        Turn(one, 1),
    ]


def test_a_file_that_is_no_run_is_not_resumed(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(LoadError, match="holds no load benchmark"):
        Points(path, {"settings": {}}).resume()


def test_a_table_in_markdown():
    assert (
        markdown(Cells(("load", "RTFx"), [("1", "2.0")]))
        == "| load | RTFx |\n| --- | --: |\n| 1 | 2.0 |\n"
    )


def test_perf_analyzer_is_run_with_the_same_audio_and_shown_beside_ours(
    server_url, tmp_path, monkeypatch, capsys
):
    program = tmp_path / "perf_analyzer"
    program.write_text(FAKE_ANALYZER, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(crosscheck, "fetch", lambda: program)
    output = tmp_path / "check.json"
    arguments = ["--url", server_url, "--model", "demo", "--audio-seconds", "0.5"]
    load = ["--concurrency", "2", "--seconds", "0.3", "--repeats", "1", "--output", str(output)]
    assert main(["crosscheck", *arguments, *load]) == 0
    assert "/ 2.0" in capsys.readouterr().out
    (row,) = json.loads(output.read_text(encoding="utf-8"))["comparison"]
    assert row["perf_analyzer"]["mean_ms"] == 8.0  # the audio's 8000 samples
    ours = row["ours"]["requests_per_s"]
    assert row["difference"]["requests_per_s"] == pytest.approx(ours / 2 - 1)


def test_perf_analyzer_that_fails_is_an_error_that_says_what_it_said(tmp_path):
    program = tmp_path / "perf_analyzer"
    program.write_text("#!/bin/sh\necho no such model >&2\nexit 99\n", encoding="utf-8")
    program.chmod(0o755)
    job = Job("localhost:1", "demo", tmp_path / "input.json", 1, 0.3)
    with pytest.raises(ProviderError, match="no such model"):
        measure(program, job)


def test_perf_analyzers_table_is_read():
    header = "Concurrency,Inferences/Second,p50 latency,p95 latency,p99 latency,Avg latency"
    opinion = parse(f"{header}\n4,47.1,76390,155525,192576,83876\n", share=0.471)
    assert opinion.requests_per_s == 47.1
    assert (opinion.p50_ms, opinion.mean_ms) == (76.39, 83.876)
    assert opinion.generator_ms == pytest.approx(10.0)
    for broken in ("", header, f"{header}\n4,47.1\n"):
        with pytest.raises(ProviderError, match="no figures"):
            parse(broken, share=0.5)
