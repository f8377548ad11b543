"""Recordings longer than the demo model takes, through Triton."""

from dataclasses import replace

import pytest

from benchmarks.recordings.hour import Command, expected_words, measure, write
from benchmarks.recordings.sessions import Joining, at_least, join, load_utterances
from client import GreedyOptions, Transcriber
from client.decoding.preset import read_preset
from client.errors import AudioError
from client.evaluation.metrics import word_errors
from client.segmentation import SegmentationOptions
from demo.paths import DEMO, SPEECH_DATA
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4" / "test_manifest.json"
RATE_HZ = 16000
PAUSES = Joining(RATE_HZ, (0.7, 1.3))

needs_an4 = needs_speech(AN4)


@pytest.fixture(scope="module")
def clips():
    return load_utterances(DEMO / "clips" / "manifest.jsonl", RATE_HZ)


@pytest.fixture(scope="module")
def beam():
    return read_preset(DEMO / "beam.json").beam


def errors(text, session):
    return word_errors([session.text], [text]).errors


def test_windows_err_no_more_than_a_single_pass(server_url, clips):
    session = join(clips, PAUSES)  # 66 s
    with Transcriber(server_url, "demo", segmentation=SegmentationOptions("none")) as transcriber:
        (whole,) = transcriber.transcribe([session.samples])
    with Transcriber(
        server_url, "demo", segmentation=SegmentationOptions("window", 10.0, 2.0)
    ) as transcriber:
        (stitched,) = transcriber.transcribe([session.samples])
    assert whole.duration_s == stitched.duration_s
    assert errors(stitched.transcript.text, session) <= errors(whole.transcript.text, session)


def test_pauses_end_words_in_what_the_model_takes_whole(server_url, clips, beam):
    session = join(clips, PAUSES)
    for decoder in (GreedyOptions(), GreedyOptions(confidence=True), beam):
        with Transcriber(server_url, "demo", decoder=decoder) as transcriber:
            (marked,) = transcriber.transcribe([session.samples])
        with Transcriber(
            server_url, "demo", decoder=replace(decoder, exact_nemo_text=True)
        ) as transcriber:
            (exact,) = transcriber.transcribe([session.samples])
        longest, longest_exact = (
            max(word.end_s - word.start_s for word in each.transcript.words)
            for each in (marked, exact)
        )
        assert longest < 1.5 < longest_exact
        assert errors(marked.transcript.text, session) < errors(exact.transcript.text, session)


@pytest.mark.parametrize("threads", [0, 2])
def test_what_the_model_does_not_take_whole_is_transcribed_in_its_place(
    server_url, clips, beam, threads
):
    session = at_least(clips[1:2], PAUSES, 200)
    items = [clips[0].samples, session.samples, b"noise", clips[1].samples]
    with Transcriber(server_url, "demo", decoder=beam, threads=threads) as transcriber:
        first, long, bad, last = transcriber.transcribe(items)
    assert isinstance(bad.error, AudioError)
    assert last.transcript.text == clips[1].text
    assert len(first.transcript.words) == len(clips[0].text.split())
    assert long.transcript.text == session.text
    assert long.duration_s == len(session.samples) / RATE_HZ


def test_an_hour_goes_through_the_command_line(server_url, clips, tmp_path):
    """In less than 300 MiB, every word right and at its time to the end."""
    session = at_least(clips[1:2], PAUSES, 3600)
    write(session, RATE_HZ, tmp_path / "hour.flac")
    with Transcriber(server_url, "demo") as transcriber:
        expected = expected_words(transcriber, session)
    command = Command("greedy", "at pauses", ["--url", server_url, "--model", "demo"])
    outcome = measure(command, session, tmp_path / "hour.flac", expected)
    assert outcome.audio_s >= 3600
    assert outcome.peak_mib <= 300
    assert outcome.errors <= 0.001 * outcome.words
    assert outcome.end_words > 300
    assert outcome.end_median_ms <= 20  # a frame
    assert outcome.end_largest_ms <= 40


@needs_an4
def test_long_speech_is_heard_about_as_well_as_its_utterances(server_url, beam):
    """A little worse: features are normalised over utterances and pauses together."""
    session = join(load_utterances(AN4, RATE_HZ), PAUSES)  # 8 minutes
    with Transcriber(server_url, "demo", decoder=beam) as transcriber:
        expected = expected_words(transcriber, session)
        (long,) = transcriber.transcribe([session.samples])
    by_utterance = errors(" ".join(word.text for word in expected), session)
    allowed = 0.02 * len(session.text.split())
    assert errors(long.transcript.text, session) <= by_utterance + allowed
