"""Calls, speakers and pauses through the command line and a real server."""

import json

import numpy as np
import pytest
import soundfile

from benchmarks.recordings.sessions import Joining, hiss, join, load_utterances
from client import AudioOptions, Transcriber
from client.__main__ import main
from client.evaluation.metrics import word_errors
from demo.paths import DEMO, SPEECH_DATA
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4" / "test_manifest.json"
RATE_HZ = 16000

needs_an4 = needs_speech(AN4)


@pytest.fixture(scope="module")
def clips():
    return load_utterances(DEMO / "clips" / "manifest.jsonl", RATE_HZ)


@pytest.fixture
def call(clips, tmp_path):
    """Two speakers on two channels, who often speak at the same time."""
    return made_call(clips, tmp_path)


def made_call(utterances, folder):
    half = len(utterances) // 2
    sides = [
        join(part, Joining(RATE_HZ, (0.8, 2.5), seed=seed))
        for seed, part in enumerate((utterances[:half], utterances[half:]))
    ]
    both = np.zeros((max(len(side.samples) for side in sides), 2), np.int16)
    for at, side in enumerate(sides):
        both[: len(side.samples), at] = side.samples
        soundfile.write(folder / f"side{at + 1}.flac", both[:, at], RATE_HZ)
    soundfile.write(folder / "call.flac", both, RATE_HZ)
    return folder / "call.flac", sides


def transcribed(capsys, server_url, *arguments):
    """The exit status, the lines of JSON, and what was said on standard error."""
    connection = ["--url", server_url, "--model", "demo"]
    status = main(["transcribe", *connection, "--format", "jsonl", *map(str, arguments)])
    told = capsys.readouterr()
    return status, list(map(json.loads, told.out.splitlines())), told.err


def on(line, channel):
    """The text of a channel."""
    return " ".join(word["word"] for word in line["words"] if word["channel"] == channel)


def test_each_channel_of_a_call_is_heard_as_if_it_were_alone(server_url, call, capsys):
    path, _ = call
    status, (line,), _ = transcribed(capsys, server_url, "--channel", "each", path)
    sides = [path.with_name(f"side{channel}.flac") for channel in (1, 2)]
    _, alone, _ = transcribed(capsys, server_url, "--segment", "vad", *sides)
    assert status == 0
    assert [on(line, channel) for channel in (1, 2)] == [each["pred_text"] for each in alone]
    assert {each["channel"] for each in line["segments"]} == {1, 2}
    starts = [each["start"] for each in line["segments"]]
    assert starts == sorted(starts)


@needs_an4
def test_a_call_of_an4_speakers_has_the_errors_of_its_mono_files(server_url, tmp_path, capsys):
    path, sides = made_call(load_utterances(AN4, RATE_HZ), tmp_path)
    _, (line,), _ = transcribed(capsys, server_url, "--channel", "each", path)
    files = [path.with_name(f"side{channel}.flac") for channel in (1, 2)]
    _, alone, _ = transcribed(capsys, server_url, "--segment", "vad", *files)
    for channel, (side, mono) in enumerate(zip(sides, alone, strict=True), start=1):
        together = word_errors([side.text], [on(line, channel)])
        by_itself = word_errors([side.text], [mono["pred_text"]])
        assert together == by_itself
        assert together.errors < 0.12 * together.reference


def test_a_diarizers_speakers_label_the_words_and_a_bad_line_costs_no_other(
    server_url, clips, tmp_path, capsys
):
    session = join(clips[:3], Joining(RATE_HZ, (1.0, 1.5)))
    soundfile.write(tmp_path / "meeting.flac", session.samples, RATE_HZ)
    lines = [
        f"SPEAKER meeting 1 {start / RATE_HZ:.3f} {len(each.samples) / RATE_HZ:.3f} "
        f"<NA> <NA> {name} <NA> <NA>"
        for name, start, each in zip(
            ("ann", "bob", "ann"), session.starts, session.utterances, strict=True
        )
    ]
    lines.insert(1, "SPEAKER meeting 1 soon 2.0 <NA> <NA> eve <NA> <NA>")
    (tmp_path / "who.rttm").write_text("\n".join(lines))
    status, (line,), told = transcribed(
        capsys, server_url, "--segments", tmp_path / "who.rttm", tmp_path / "meeting.flac"
    )
    assert status == 1
    assert "who.rttm line 2: the start is 'soon', expected seconds" in told
    with Transcriber(server_url, "demo") as transcriber:
        alone = [each.text for each in transcriber.transcribe(clip.samples for clip in clips[:3])]
    assert [each["text"] for each in line["segments"]] == alone
    assert [each["speaker"] for each in line["segments"]] == ["ann", "bob", "ann"]


def test_a_recording_that_the_segment_file_does_not_know_fails_alone(
    server_url, clips, tmp_path, capsys
):
    for name in ("known", "strange"):
        soundfile.write(tmp_path / f"{name}.flac", clips[0].samples, RATE_HZ)
    (tmp_path / "segments").write_text("utterance known 0.0 3.3\n")
    status, (known, strange), _ = transcribed(
        capsys,
        server_url,
        "--segments",
        tmp_path / "segments",
        tmp_path / "known.flac",
        tmp_path / "strange.flac",
    )
    assert status == 1
    assert known["pred_text"]
    assert "has no segments of" in strange["error"]


def test_of_silence_nothing_is_sent_and_nothing_written(server_url):
    minute = hiss(60 * RATE_HZ, np.random.default_rng(0))
    both = np.stack([minute, np.zeros_like(minute)], axis=1)
    with Transcriber(server_url, "demo", audio=AudioOptions(channel="each")) as transcriber:
        (result,) = transcriber.transcribe([both])
    assert result.text == ""
    assert result.duration_s == 60
