"""The demo model on real recordings, through Triton; skipped where there is no speech data."""

import pytest

from client import Clip, Transcriber
from client.decoding.preset import read_preset
from client.evaluation.metrics import word_errors
from client.manifests.manifest import read_manifest
from demo.paths import DEMO, SPEECH_DATA
from demo.prepare import HELD_OUT_DIGIT_STRINGS, digit_takes, held_out_digit_string
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4" / "test_manifest.json"
SINGAPORE = SPEECH_DATA / "singapore"


@pytest.fixture(scope="module")
def tuned_beam():
    """Beam search with the demo's language model and its committed weights."""
    return read_preset(DEMO / "beam.json").beam


def word_error_rate(server_url, manifest, beam=None):
    entries = list(read_manifest(manifest))
    with Transcriber(server_url, "demo", decoder=beam) as transcriber:
        results = list(transcriber.transcribe(entry.item for entry in entries))
    texts = [result.transcript.text for result in results]
    return word_errors([entry.fields["text"] for entry in entries], texts).rate


@needs_speech(AN4)
def test_greedy_errs_in_at_most_ten_percent_of_an4s_words(server_url):
    assert word_error_rate(server_url, AN4) <= 0.10


@needs_speech(AN4)
def test_the_language_model_saves_fifteen_percent_of_an4s_errors(server_url, tuned_beam):
    greedy = word_error_rate(server_url, AN4)
    assert word_error_rate(server_url, AN4, tuned_beam) <= 0.85 * greedy


def test_greedy_errs_in_at_most_eight_percent_of_the_clips_words(server_url):
    assert word_error_rate(server_url, DEMO / "clips" / "manifest.jsonl") <= 0.08


@needs_speech(SPEECH_DATA / "fsdd")
def test_greedy_errs_in_at_most_ten_percent_of_held_out_digits(server_url):
    """The same speakers as in training, other takes."""
    _, takes = digit_takes()
    strings = [held_out_digit_string(index, takes) for index in range(HELD_OUT_DIGIT_STRINGS)]
    with Transcriber(server_url, "demo") as transcriber:
        results = list(transcriber.transcribe(audio for audio, _ in strings))
    texts = [result.transcript.text for result in results]
    assert word_errors([text for _, text in strings], texts).rate <= 0.10


@needs_speech(SINGAPORE)
@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_singaporean_clips_go_through_the_whole_path(server_url, tuned_beam, decoder):
    """This small-vocabulary model cannot understand them; failing would be another matter."""
    clips = sorted(SINGAPORE.glob("*.wav"))
    assert len(clips) == 5
    with Transcriber(
        server_url, "demo", decoder=tuned_beam if decoder == "beam" else None
    ) as transcriber:
        results = list(transcriber.transcribe(map(Clip, clips)))
    assert [result.error for result in results] == [None] * 5
    assert all(result.transcript.text for result in results)
