"""The client's voice activity detector: Silero's weights, Silero's probabilities."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile

from export import voice_activity
from export.voice_activity import TARGET, silero_graph

CLIPS = sorted((Path(__file__).parents[2] / "demo" / "clips").glob("*.flac"))
CHUNK, CONTEXT = 512, 64


def chunks_of(path):
    """A clip as the network takes it: ``float32 [T, 576]``."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == 16000
    n_chunks = -(-len(samples) // CHUNK)
    padded = np.pad(samples, (CONTEXT, n_chunks * CHUNK - len(samples)))
    return np.stack([padded[at * CHUNK : (at + 1) * CHUNK + CONTEXT] for at in range(n_chunks)])


def heard(session, path, inputs, outputs, at_once):
    """The probabilities that a graph gives for a clip, so many chunks at once."""
    chunks = chunks_of(path)
    state = [np.zeros((1, 1, 128), np.float32)] * 2
    found = []
    for at in range(0, len(chunks), at_once):
        feeds = dict(zip(inputs, (chunks[at : at + at_once], *state), strict=True))
        probabilities, *state = session.run(outputs, feeds)
        found.append(probabilities)
    return np.concatenate(found)


def heard_by_ours(path, at_once=512):
    session = onnxruntime.InferenceSession(TARGET)
    names = ["chunks", "h", "c"], ["speech", "next_h", "next_c"]
    return heard(session, path, *names, at_once)


def test_the_clients_file_is_what_the_program_makes(monkeypatch, tmp_path):
    monkeypatch.setattr(voice_activity, "TARGET", tmp_path / "vad.onnx")
    voice_activity.main()
    assert (tmp_path / "vad.onnx").read_bytes() == TARGET.read_bytes()


def test_the_file_names_its_maker_and_licence():
    model = onnx.load(TARGET)
    assert model.producer_name == "silero-vad"
    assert "MIT License" in model.doc_string
    assert "Silero Team" in model.doc_string


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
def test_it_gives_the_probabilities_of_sileros_graph(path):
    session = onnxruntime.InferenceSession(silero_graph())
    names = ["input", "h", "c"], ["speech_probs", "hn", "cn"]
    silero = heard(session, path, *names, 512)
    ours = heard_by_ours(path)
    assert silero.min() < 0.1
    assert silero.max() > 0.9
    assert np.abs(ours - silero).max() < 1e-4


@pytest.mark.parametrize("path", CLIPS[:4], ids=lambda path: path.stem)
def test_it_gives_the_probabilities_of_sileros_model_that_takes_one_chunk_at_a_time(path):
    data = silero_graph().parent
    session = onnxruntime.InferenceSession(data / "silero_vad.onnx")
    state = np.zeros((2, 1, 128), np.float32)
    silero = []
    for chunk in chunks_of(path):
        feeds = {"input": chunk[None], "state": state, "sr": np.array(16000, np.int64)}
        probability, state = session.run(None, feeds)
        silero.append(probability[0, 0])
    assert np.abs(heard_by_ours(path) - silero).max() < 1e-4


@pytest.mark.parametrize("at_once", [1, 7])
def test_the_state_goes_from_call_to_call(at_once):
    (path,) = CLIPS[:1]
    assert np.abs(heard_by_ours(path, at_once) - heard_by_ours(path)).max() < 1e-5
