"""What callers hand over as one recording: each kind is read, everything else is said shortly."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from client.audio import AudioOptions, Clip, is_single, read_item
from client.errors import AudioError
from tests.client.support import encoded

RAMP = (np.arange(16000) * 4 - 32000).astype(np.int16)
TONE = np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000).astype(np.float32)


class Tensor:
    """An array of another library, which converts itself to NumPy's."""

    def __init__(self, samples):
        self._samples = samples

    def __array__(self, *_, **__):
        return self._samples


class Lent:
    """An array of a library that only lends its memory."""

    def __init__(self, samples):
        self._samples = samples

    def __dlpack__(self, **options):
        return self._samples.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._samples.__dlpack_device__()


class AudioDecoder:
    """What torchcodec's has, which is no mapping though data sets' takes ``["array"]``."""

    def __init__(self, samples):
        self._samples = samples

    def get_all_samples(self):
        """All channels, as torchcodec's class gives them."""
        return SimpleNamespace(data=Tensor(self._samples), sample_rate=16000)

    def __getitem__(self, name):
        raise TypeError(f"{name!r}: not subscriptable")


class OnAnAccelerator:
    """A tensor that is not in this machine's memory, or has gradients."""

    def __array__(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def read(item, options=None):
    blocks = read_item(item, 16000, options or AudioOptions(), warn=pytest.fail)
    return np.concatenate(list(blocks))


@pytest.mark.parametrize(
    "item",
    [
        encoded(RAMP),
        bytearray(encoded(RAMP)),
        memoryview(encoded(RAMP)),
        io.BytesIO(encoded(RAMP)),
        Clip(encoded(RAMP)),
        RAMP,
        RAMP / 32768,
        RAMP.reshape(-1, 1),
        Tensor(RAMP),
        Lent(RAMP.copy()),
        (RAMP, 16000),
        (Tensor(RAMP), np.int64(16000)),
        (Lent(RAMP.copy()), np.array(16000)),
        {"array": RAMP / 32768, "sampling_rate": 16000, "path": "gone.wav"},
        {"array": Tensor(RAMP), "sampling_rate": 16000},
        AudioDecoder((RAMP / 32768)[np.newaxis]),
        {"bytes": encoded(RAMP), "path": "gone.wav"},
    ],
    ids=lambda item: type(item).__name__,
)
def test_every_kind_of_item_gives_its_samples(item):
    np.testing.assert_array_equal(read(item), RAMP)


def test_a_dictionary_without_bytes_is_read_from_its_path(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(RAMP))
    np.testing.assert_array_equal(read({"bytes": None, "path": str(path)}), RAMP)


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_samples_at_another_rate_are_resampled(rate_hz):
    tone = np.sin(np.arange(rate_hz) * 2 * np.pi * 440 / rate_hz)
    samples = read((tone, rate_hz))
    assert len(samples) == pytest.approx(16000, abs=1)
    inside = slice(1000, -1000)  # away from the filter's ends
    expected = TONE[: len(samples)] * 32767
    np.testing.assert_allclose(samples[inside], expected[inside], atol=60)


def test_a_channel_of_an_array_is_chosen_as_a_files_is():
    stereo = np.stack([RAMP, 0 * RAMP], axis=1)
    np.testing.assert_array_equal(read(stereo, AudioOptions(channel=1)), RAMP)
    assert not read(stereo, AudioOptions(channel=2)).any()
    with pytest.raises(AudioError, match="has 2 channels, expected at least 3"):
        read(stereo, AudioOptions(channel=3))
    np.testing.assert_array_equal(read(AudioDecoder(stereo.T), AudioOptions(channel=1)), RAMP)


def test_an_array_longer_than_allowed_is_refused():
    with pytest.raises(AudioError, match=r"1\.0 s long, expected at most 0\.5 s"):
        read(RAMP, AudioOptions(max_duration_s=0.5))


@pytest.mark.parametrize("scale", [12.0, 343.0, 32768.0, 2.0**31])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_samples_of_an_integers_scale_are_an_error_that_names_it(scale, kind):
    with pytest.raises(AudioError, match=r"expected a scale of \[-1, 1\]: divide by 32768"):
        read((TONE * scale).astype(kind))


@pytest.mark.parametrize("peak", [1.0, 1.3, 4.0])
def test_loud_floating_samples_are_clipped(peak):
    assert np.abs(read(TONE * peak).astype(int)).max() >= 32767


def test_the_scale_is_seen_after_a_quiet_beginning():
    with pytest.raises(AudioError, match="reach 20,000"):
        read(np.concatenate([np.zeros(100_000), np.full(10, 20_000.0)]))


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ([0.1] * 160_000, r"numpy\.array\(samples, numpy\.float32\)"),
        (["a.wav", "b.wav"], r"Transcriber\.transcribe"),
        (([0.1] * 160_000, 16000), r"numpy\.array\(samples"),
        ((16000, RAMP), r"expected \(samples, rate_hz\)"),
        ((RAMP, 16000.5), r"expected \(samples, rate_hz\)"),
        ((RAMP, 16000, "a"), r"expected \(samples, rate_hz\)"),
        ((RAMP, 0), "0 Hz"),
        ((RAMP, 1), "sample rate is 1 Hz"),
        ({"array": RAMP}, "'sampling_rate'"),
        ({"bytes": None, "path": None}, "'bytes' or 'path'"),
        ({"a": {"b": {"c": [b"x" * 10**6] * 1000}}}, "is a dictionary"),
        (OnAnAccelerator(), r"cuda:0.*tensor\.detach\(\)\.cpu\(\)\.numpy\(\)"),
        (np.full(10, np.nan), "10 of 10 samples are NaN"),
        (np.array([0, np.inf]), "NaN or infinite"),
        (Tensor(np.zeros((2, 16000), np.int16)), "transpose"),
        (np.zeros(10, np.int32), "int32"),
        (42, r"^the item is of type int, expected a path, .*\(samples, rate_hz\) or a dictionary"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_recording_is_said_shortly(item, says):
    with pytest.raises(AudioError, match=says) as raised:
        read(item)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("items", "single"),
    [
        ("a.wav", True),
        (b"RIFF", True),
        (RAMP, True),
        (Tensor(RAMP), True),
        (Lent(RAMP), True),
        ((RAMP, 16000), True),
        ({"array": RAMP, "sampling_rate": 16000}, True),
        (AudioDecoder(RAMP), True),
        ([0.1, 0.2], True),
        (["a.wav"], False),
        (("a.wav", "b.wav"), False),
        ((RAMP, RAMP), False),
        ([(RAMP, 16000)], False),
        ([], False),
        (iter(["a.wav"]), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_recording_is_told_from_several(items, single):
    assert is_single(items) is single
