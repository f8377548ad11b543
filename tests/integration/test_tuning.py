"""``tune`` as a whole: the real Triton, the demo's model, language model and clips."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritonclient.grpc import InferenceServerClient

import demo
from client import BeamOptions, Transcriber, load_audio
from client.__main__ import main
from client.decoding.preset import read_preset
from tests.client.support import ARPA

DEMO = Path(demo.__file__).parent
CLIPS = DEMO / "clips" / "manifest.jsonl"
LM = DEMO / "lm.arpa.gz"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all tests, so that the acoustic model runs once over the clips."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tune(server_url, cache, tmp_path):
    """Runs the command, the preset going to the returned path; what is given comes last."""

    def run(*arguments, status=0):
        output = tmp_path / "preset.json"
        assert main(["tune", *base_arguments(server_url, cache, output), *arguments]) == status
        return output

    return run


def base_arguments(url, cache, output):
    options = {
        "--url": url,
        "--model": "demo",
        "--manifest": CLIPS,
        "--lm": LM,
        "--trials": 20,
        "--threads": 2,
        "--cache": cache,
        "--output": output,
    }
    return [str(part) for option in options.items() for part in option]


def clips():
    """The clips' entries, for a manifest in any folder."""
    entries = [json.loads(line) for line in CLIPS.read_text().splitlines()]
    return [
        {**each, "audio_filepath": str(CLIPS.parent / each["audio_filepath"])} for each in entries
    ]


def write_manifest(path, entries):
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


def answered(url):
    """How many requests the server has answered for the demo."""
    client = InferenceServerClient(url)
    statistics = client.get_inference_statistics("demo")
    client.close()
    return sum(model.inference_stats.success.count for model in statistics.model_stats)


@pytest.fixture
def agreeable(server_url, tmp_path):
    """A manifest whose references are what beam search hears with the default weights."""
    entries = clips()
    with Transcriber(server_url, "demo", decoder=BeamOptions(LM)) as transcriber:
        results = transcriber.transcribe(entry["audio_filepath"] for entry in entries)
        for entry, result in zip(entries, results, strict=True):
            entry["text"] = result.transcript.text
    return write_manifest(tmp_path / "m.jsonl", entries)


def test_weights_that_gain_are_a_preset_that_transcribe_takes(
    tune, server_url, agreeable, tmp_path, capsys
):
    plot = tmp_path / "map.png"
    manifests = ["--manifest", str(agreeable), "--held-out", str(agreeable)]
    preset = tune(*manifests, "--plot", str(plot))
    said = capsys.readouterr().out
    assert "Best of 20 trials on 16 utterances" in said
    assert "Check on the held-out 16 utterances" in said
    assert "The preset is beam search with the tuned weights" in said
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"m.jsonl", "map.png", "preset.json"}
    record = read_preset(preset).tuning
    assert record["held_out"]["word_errors"]["tuned"] == 0
    command = ["evaluate", "--manifest", str(agreeable), "--url", server_url, "--model", "demo"]
    assert main([*command, "--decoder-config", str(preset), "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["wer"] == 0
    assert captured.err == ""


def test_the_same_seed_gives_the_same_report_and_asks_the_model_nothing_again(
    tune, server_url, capsys
):
    tune()
    before = answered(server_url)
    capsys.readouterr()
    reports = []
    for threads in ("1", "2"):
        tune("--format", "json", "--threads", threads)
        report = json.loads(capsys.readouterr().out)
        report.pop("date")
        for trial in report["trials"]:
            trial.pop("decoding_s")
        reports.append(report)
    assert reports[0] == reports[1]
    assert answered(server_url) == before


def test_changed_audio_is_asked_for_again_and_nothing_else(tune, server_url, tmp_path):
    entries = clips()
    own = tmp_path / "own.flac"
    own.write_bytes(Path(entries[0]["audio_filepath"]).read_bytes())
    entries[0]["audio_filepath"] = str(own)
    manifest = write_manifest(tmp_path / "m.jsonl", entries)
    tune("--manifest", str(manifest))
    own.write_bytes(Path(entries[1]["audio_filepath"]).read_bytes())
    before = answered(server_url)
    tune("--manifest", str(manifest))
    assert answered(server_url) == before + 1


def test_what_evaluate_takes_is_tuned_on_and_outputs_are_shared(
    tune, server_url, cache, tmp_path, capsys
):
    """Pieces of the second channel of one recording, which is longer than the model takes whole."""
    clips_s16 = [load_audio(each["audio_filepath"], 16_000) for each in clips()]
    speech = np.concatenate([*clips_s16, np.zeros(16_000 * 120, np.int16)])
    soundfile.write(tmp_path / "all.wav", np.column_stack((speech * 0, speech)), 16_000)
    entries = [{"audio_filepath": "all.wav", "text": " ".join(each["text"] for each in clips())}]
    offset_s = 0.0
    for clip, entry in zip(clips_s16, clips(), strict=True):
        piece = {"offset": offset_s, "duration": len(clip) / 16_000, "text": entry["text"]}
        entries.append({"audio_filepath": "all.wav", **piece})
        offset_s += len(clip) / 16_000
    manifest = str(write_manifest(tmp_path / "m.jsonl", entries))
    preset = read_preset(tune("--manifest", manifest, "--channel", "2"))
    parts = (preset.tuning["tuned_on"], preset.tuning["held_out"])
    assert sum(part["utterances"] for part in parts) == 17
    before = answered(server_url)
    capsys.readouterr()
    command = ["evaluate", "--url", server_url, "--model", "demo", "--cache", str(cache)]
    options = ["--manifest", manifest, "--channel", "2", "--format", "json"]
    assert main([*command, *options]) == 0
    assert json.loads(capsys.readouterr().out)["wer"] < 0.3
    assert answered(server_url) == before


def test_a_language_model_of_other_words_leads_to_greedy_decoding(tune, tmp_path, capsys):
    other = tmp_path / "other.arpa"
    other.write_text(ARPA)
    preset = read_preset(tune("--lm", str(other)))
    assert preset.beam is None
    errors = preset.tuning["held_out"]["word_errors"]
    assert errors["tuned"] >= errors["greedy"]
    assert "The preset is greedy decoding" in capsys.readouterr().out


def test_a_failed_recording_is_left_out_and_the_exit_status_says_so(tune, tmp_path, capsys):
    entries = clips()
    entries.insert(1, {"audio_filepath": "gone.wav", "text": "yes"})
    manifest = write_manifest(tmp_path / "m.jsonl", entries)
    preset = tune("--manifest", str(manifest), status=1)
    assert read_preset(preset).tuning["tuned_on"]["utterances"] == 11
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "gone.wav: No such file" in errors[0]


def test_a_held_out_manifest_that_shares_sentences_is_warned_of(tune, capsys):
    preset = tune("--held-out", str(CLIPS))
    assert "warning: 16 of 16 held-out utterances have sentences" in capsys.readouterr().err
    assert read_preset(preset).tuning["held_out"]["utterances"] == 16


def test_hotwords_and_beam_widths_are_tuned_too(tune):
    preset = read_preset(tune("--hotword", "rubout", "--beam-width", "8", "32"))
    assert set(preset.tuning["tuned"]) == {"alpha", "beta", "hotword_weight", "beam_width"}
    assert preset.tuning["number_of_trials"] == 21


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lm", "gone.arpa"], "gone.arpa"),
        (["--manifest", "gone.jsonl"], "gone.jsonl: cannot read the manifest"),
        (["--manifest", "/dev/null"], "holds no recordings with text"),
    ],
)
def test_what_cannot_work_is_one_line_and_no_preset(tune, tmp_path, capsys, arguments, said):
    tune(*arguments, status=1)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def endless(server_url, cache, tmp_path):
    """The command in a terminal, with trials for hours; and a function that waits for a text."""
    screen, terminal = pty.openpty()
    arguments = base_arguments(server_url, cache, tmp_path / "preset.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "tune", *arguments, "--trials", "100000"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = b""

    def wait_for(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(screen, 4096)
        return seen.decode()

    yield process, wait_for
    process.kill()
    process.wait()
    process.stdout.close()
    os.close(screen)


def test_ctrl_c_ends_it_with_the_best_so_far_and_nothing_written(endless, tmp_path):
    process, wait_for = endless
    wait_for(b"best ")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = wait_for(b"interrupted")
    assert "of 100000 trials, no preset written; best " in said
    assert "Traceback" not in said
    assert process.wait(timeout=10) == 130
    assert list(tmp_path.iterdir()) == []
