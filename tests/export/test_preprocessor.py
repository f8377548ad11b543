"""The traceable preprocessor computes NeMo's features for every setting it accepts."""

import numpy as np
import pytest
import torch
from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

from export.modules.preprocessor import INT16_SCALE, Preprocessor, objections
from export.verification.cases import mu_law
from export.verification.random_models import preprocessor
from tests.export.support import noise

COMMON = {key: value for key, value in preprocessor(80).items() if key != "_target_"}
SETTINGS = [
    {"normalize": "all_features"},
    {"normalize": "NA"},
    {"normalize": None},
    {"preemph": None},
    {"preemph": 0.9},
    {"mag_power": 1.0},
    {"log": False, "normalize": None},
    {"log_zero_guard_type": "clamp", "log_zero_guard_value": 1e-5},
    {"log_zero_guard_type": "clamp", "log_zero_guard_value": "tiny"},
    {"log_zero_guard_value": 1e-40, "normalize": None},
    {"log_zero_guard_value": "tiny"},
    {"log_zero_guard_value": "eps"},
    {"window": "hamming"},
    {"window": "blackman"},
    {"window_size": 0.02, "n_fft": None, "features": 64},
    {"window_size": 0.032},
    {"window_stride": 0.02},
    {"sample_rate": 8000, "n_fft": 256},
    {"pad_value": -3.0},
    {"pad_to": 0},
    {"pad_to": 7},
    {"lowfreq": 100, "highfreq": 6000, "mel_norm": None},
]


SECOND = 16000
SPEECH = noise(110 * SECOND, amplitude=2000)
DIFFICULT = {
    "digital silence": np.zeros(60 * SECOND, np.int16),
    "one value": np.full(10 * SECOND, 8, np.int16),
    "mostly silence": np.where(np.arange(110 * SECOND) % (10 * SECOND) < SECOND, SPEECH, 0).astype(
        np.int16
    ),
    "mu-law with silence": mu_law(
        np.concatenate([np.zeros(20 * SECOND, np.int16), SPEECH[: 10 * SECOND]])
    ),
    "two values": (SPEECH[: 10 * SECOND] > 3000).astype(np.int16),
}
"""Recordings whose features' sums are rounded again and again in the same direction."""
NORMALISATIONS = [
    {"normalize": "per_feature"},
    {"normalize": "all_features"},
    {"normalize": "all_features", "log_zero_guard_type": "clamp", "log_zero_guard_value": 1e-5},
    {"log_zero_guard_type": "clamp", "log_zero_guard_value": 1e-5},
    {"log_zero_guard_type": "clamp"},
    {"log_zero_guard_type": "clamp", "log_zero_guard_value": "eps"},
    {"log_zero_guard_value": "eps"},
]


def modules(settings):
    nemo = AudioToMelSpectrogramPreprocessor(**{**COMMON, **settings, "dither": 0.0}).eval()
    return nemo, Preprocessor(nemo.featurizer)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("n_samples", [640, 799, 12345])
def test_features_and_lengths_equal_nemos(settings, n_samples):
    nemo, ours = modules(settings)
    audio = torch.from_numpy(noise(n_samples))
    expected, frames = nemo(
        input_signal=audio.unsqueeze(0) * INT16_SCALE, length=torch.tensor([n_samples])
    )
    features, length = ours(audio, torch.tensor([[n_samples]], dtype=torch.int32))
    assert length.tolist() == [frames.tolist()]
    torch.testing.assert_close(features, expected[:, :, : int(frames)], rtol=0, atol=1e-3)


@pytest.mark.parametrize("settings", NORMALISATIONS, ids=str)
@pytest.mark.parametrize("name", DIFFICULT)
def test_features_of_silence_and_of_faint_audio_are_nemos_in_float64(settings, name):
    nemo, ours = modules(settings)
    audio = torch.from_numpy(DIFFICULT[name])
    signal, length = audio.double().unsqueeze(0) * INT16_SCALE, torch.tensor([len(audio)])
    guard = nemo.featurizer.log_zero_guard_value_fn(torch.zeros(1))  # "eps" is fp32's
    rounded, frames = nemo.featurizer(signal.float(), length)
    nemo.featurizer.log_zero_guard_value = guard
    exact, _ = nemo.double().featurizer(signal, length)
    features, _ = ours(audio, length.int().unsqueeze(0))
    exact, rounded = exact[:, :, : int(frames)], rounded[:, :, : int(frames)]
    nemos_own = float((rounded - exact).abs().max())
    assert float((features - exact).abs().max()) <= max(5e-5, nemos_own / 10)


@pytest.mark.parametrize("guard", [0, 1e-50, -1e-5, float("nan"), "small", None])
def test_a_guard_that_leaves_silence_without_a_logarithm_is_refused(guard):
    for kind in ("add", "clamp"):
        settings = {"log_zero_guard_type": kind, "log_zero_guard_value": guard}
        nemo = AudioToMelSpectrogramPreprocessor(**{**COMMON, **settings})
        (objection,) = objections(nemo.featurizer)
        assert f"log_zero_guard_value = {guard!r}" in objection
        assert "set it to 'tiny'" in objection
    no_logarithm = AudioToMelSpectrogramPreprocessor(**{**COMMON, **settings, "log": False})
    assert list(objections(no_logarithm.featurizer)) == []


@pytest.mark.parametrize("guard", [2**-24, 1e-5, 1, 1e-40, "tiny", "eps"])
@pytest.mark.parametrize("kind", ["add", "clamp"])
def test_every_guard_that_silence_has_a_logarithm_with_is_exported(kind, guard):
    nemo, _ = modules({"log_zero_guard_type": kind, "log_zero_guard_value": guard})
    assert list(objections(nemo.featurizer)) == []


@pytest.mark.parametrize("settings", NORMALISATIONS, ids=str)
def test_silent_and_faint_recordings_have_the_same_features_in_a_batch(settings):
    _, ours = modules(settings)
    utterances = [torch.from_numpy(audio[: 30 * SECOND]) for audio in DIFFICULT.values()]
    lengths = torch.tensor([[len(audio)] for audio in utterances], dtype=torch.int32)
    together, frames = ours(torch.cat(utterances), lengths)
    for row, audio in enumerate(utterances):
        alone, _ = ours(audio, lengths[row : row + 1])
        in_batch = together[row : row + 1, :, : int(frames[row])]
        torch.testing.assert_close(in_batch, alone, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("pad_value", [0.0, -3.0])
def test_features_beyond_an_utterance_have_the_padding_value(pad_value):
    _, ours = modules({"pad_value": pad_value})
    lengths = torch.tensor([[1600], [8000]], dtype=torch.int32)
    features, frames = ours(torch.from_numpy(noise(9600)), lengths)
    assert frames.tolist() == [[10], [50]]
    assert (features[0, :, 10:] == pad_value).all()
    assert (features[1] != pad_value).any(dim=0).all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"frame_splicing": 3}, "frame_splicing = 3"),
        ({"exact_pad": True}, "exact_pad = True"),
        ({"normalize": {"fixed_mean": [0.25] * 80, "fixed_std": [1.0] * 80}}, "a fixed_mean"),
    ],
    ids=str,
)
def test_settings_that_would_change_the_features_are_refused_by_name(settings, named):
    nemo = AudioToMelSpectrogramPreprocessor(**{**COMMON, **settings})
    (objection,) = objections(nemo.featurizer)
    assert named in objection
    assert "train or fine-tune" in objection
    assert "0.25" not in objection
