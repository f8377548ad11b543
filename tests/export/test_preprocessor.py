"""The traceable preprocessor computes NeMo's features for every setting it accepts."""

import pytest
import torch
from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

from export.modules.preprocessor import INT16_SCALE, Preprocessor, objections
from export.verification.random_models import preprocessor
from tests.export.support import noise

COMMON = {key: value for key, value in preprocessor(80).items() if key != "_target_"}
SETTINGS = [
    {"normalize": "all_features"},
    {"normalize": "NA"},
    {"normalize": "None"},
    {"normalize": None},
    {"preemph": None},
    {"preemph": 0.9},
    {"mag_power": 1.0},
    {"log": False, "normalize": None},
    {"log_zero_guard_type": "clamp", "log_zero_guard_value": 1e-5},
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


@pytest.mark.parametrize("normalize", ["per_feature", "all_features"])
@pytest.mark.parametrize("speech_s", [0, 1, 10])
def test_half_a_minute_of_digital_silence_leaves_features_exact(normalize, speech_s):
    """As near to NeMo in float64 as fp32 can be, where NeMo's own fp32 is not."""
    nemo, ours = modules({"normalize": normalize})
    samples = torch.zeros(30 * 16000, dtype=torch.int16)
    samples[: speech_s * 16000] = torch.from_numpy(noise(speech_s * 16000))
    vars(nemo.featurizer).pop("forward")  # bound to parameters of float32
    expected, _ = nemo.double().featurizer(
        samples.double().unsqueeze(0) * INT16_SCALE, torch.tensor([len(samples)])
    )
    features, frames = ours(samples, torch.tensor([[len(samples)]], dtype=torch.int32))
    torch.testing.assert_close(features, expected[:, :, : int(frames)].float(), rtol=0, atol=2e-4)


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
