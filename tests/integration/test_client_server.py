"""Client and server together: the real Triton, the real demo model, real recordings."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import demo
from client import BeamOptions, Clip, Transcriber, TransportOptions
from client.__main__ import main
from client.errors import AudioError, ContractError, DeadlineExceeded, ModelNotReady
from client.manifests.manifest import read_manifest
from client.wire.contract import LOG_PROBS, TOKENS
from client.wire.models import list_models
from client.wire.transport import TritonTransport

MANIFEST = Path(demo.__file__).parent / "clips" / "manifest.jsonl"


@pytest.fixture(scope="module")
def transcriber(server_url):
    with Transcriber(server_url, "demo") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def clips():
    return [entry.item for entry in read_manifest(MANIFEST)]


@pytest.fixture(scope="module")
def texts(transcriber, clips):
    """What each clip gives when it is alone on the server."""
    singles = [next(transcriber.transcribe([clip])) for clip in clips]
    return [single.transcript.text for single in singles]


def heard(results):
    return [result.transcript and result.transcript.text for result in results]


def test_the_clips_are_understood_at_least_in_part(texts):
    references = [entry.fields["text"].split() for entry in read_manifest(MANIFEST)]
    shared = [set(text.split()) & set(words) for text, words in zip(texts, references, strict=True)]
    assert sum(map(bool, shared)) > len(texts) / 2


def test_clips_in_flight_together_give_the_same_as_alone(transcriber, clips, texts):
    assert heard(transcriber.transcribe(clips)) == texts


def test_order_is_kept_when_every_other_item_fails(transcriber, clips, texts):
    failures = itertools.cycle([b"noise", "gone.wav", np.zeros(10, np.int16)])
    items = [item for clip in clips for item in (clip, next(failures))]
    results = list(transcriber.transcribe(items))
    assert [result.index for result in results] == list(range(len(items)))
    assert heard(results[0::2]) == texts
    assert all(isinstance(result.error, AudioError) for result in results[1::2])


def test_beam_search_asks_for_log_probs_whose_arg_max_are_the_tokens(server_url, clips):
    samples = soundfile.read(clips[0].source, dtype="int16")[0]
    transport = TritonTransport(server_url, "demo")
    tokens = transport.submit(samples, TOKENS).result()
    log_probs = transport.submit(samples, LOG_PROBS).result()
    transport.close()
    assert (tokens.dtype, log_probs.dtype) == (np.int32, np.float32)
    assert log_probs.shape == (len(tokens), transport.contract.blank + 1)
    np.testing.assert_array_equal(log_probs.argmax(axis=1), tokens)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-3)


def test_frames_last_as_long_as_the_contract_says(server_url):
    transport = TritonTransport(server_url, "demo")
    rate_hz, stride_s = transport.contract.sample_rate_hz, transport.contract.frame_stride_s
    tokens = transport.submit(np.zeros(3 * rate_hz, np.int16), TOKENS).result()
    transport.close()
    assert len(tokens) == pytest.approx(3 / stride_s, abs=2)


def test_beam_search_transcribes_every_clip(server_url, clips):
    with Transcriber(server_url, "demo", decoder=BeamOptions(beam_width=10)) as transcriber:
        results = list(transcriber.transcribe(clips))
    assert all(heard(results))


def test_the_contracts_bounds_are_the_models_bounds(server_url):
    transport = TritonTransport(server_url, "demo")
    shortest = np.zeros(transport.contract.min_samples, np.int16)
    assert transport.submit(shortest, TOKENS).result().ndim == 1
    with pytest.raises(AudioError, match="too short"):
        transport.submit(shortest[:-1], TOKENS)
    transport.close()


def test_a_piece_of_a_recording_is_transcribed_as_if_cut_out(transcriber, clips):
    samples = soundfile.read(clips[0].source, dtype="int16")[0]
    piece = Clip(clips[0].source, offset_s=0.5, duration_s=1.0)
    cut = samples[8000:24000]
    first, second = transcriber.transcribe([piece, cut])
    assert first.transcript == second.transcript
    assert first.duration_s == 1.0


def test_a_deadline_too_short_is_an_error_of_the_item(server_url, clips):
    options = TransportOptions(timeout_s=0.0001)
    with Transcriber(server_url, "demo", options=options) as hasty:
        results = list(hasty.transcribe(clips[:3]))
    assert [type(result.error) for result in results] == [DeadlineExceeded] * 3


def test_a_step_of_the_pipeline_has_no_contract(server_url):
    with pytest.raises(ContractError, match="carries no contract"):
        Transcriber(server_url, "demo_encoder")


def test_an_unknown_model_is_an_error_that_names_the_known(server_url):
    with pytest.raises(ModelNotReady, match="demo_encoder"):
        Transcriber(server_url, "unknown")


def test_only_the_model_with_a_contract_is_listed(server_url):
    (model,) = list_models(server_url)
    assert (model.name, model.ready, model.problem) == ("demo", True, "")


def test_the_command_line_transcribes_a_manifest(server_url, texts, capsys):
    arguments = ["--manifest", str(MANIFEST), "--model", "demo", "--url", server_url]
    assert main(["transcribe", *arguments, "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["pred_text"] for line in lines] == texts


def test_the_command_line_evaluates_a_manifest(server_url, capsys):
    arguments = ["--manifest", str(MANIFEST), "--model", "demo", "--url", server_url]
    assert main(["evaluate", *arguments, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 <= report["cer"] <= report["wer"] < 1
    assert report["words"]["reference"] == sum(
        len(entry.fields["text"].split()) for entry in read_manifest(MANIFEST)
    )
