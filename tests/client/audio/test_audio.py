"""Audio: exact where it can be, converted where it must be, refused where it is wrong."""

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from client.audio import AudioOptions, Clip, load_audio, to_pcm
from client.errors import AudioError
from tests.client.support import encoded

RAMP = (np.arange(16000) * 4 - 32000).astype(np.int16)
EXTREMES = np.array([-32768, -32767, -1, 0, 1, 32766, 32767] * 100, np.int16)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF", "W64", "CAF"])
@pytest.mark.parametrize("samples", [RAMP, EXTREMES], ids=["ramp", "extremes"])
def test_sixteen_bit_mono_comes_through_bit_by_bit(kind, samples):
    np.testing.assert_array_equal(load_audio(encoded(samples, kind=kind), 16000), samples)


@pytest.mark.parametrize("source", ["path", "text", "bytes", "file", "stream"])
def test_every_kind_of_source_gives_the_same(source, tmp_path):
    path = tmp_path / "ünï cödé.wav"
    path.write_bytes(encoded(RAMP))
    with path.open("rb") as file:
        sources = {
            "path": path,
            "text": str(path),
            "bytes": path.read_bytes(),
            "file": file,
            "stream": io.BytesIO(path.read_bytes()),
        }
        np.testing.assert_array_equal(load_audio(sources[source], 16000), RAMP)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wider_samples_are_rounded_to_sixteen_bits(subtype):
    loaded = load_audio(encoded(RAMP / 32768, subtype=subtype), 16000)
    np.testing.assert_array_equal(loaded, RAMP)


def test_channels_are_averaged():
    stereo = np.stack([RAMP, np.zeros_like(RAMP)], axis=1)  # [n, 2]
    np.testing.assert_allclose(load_audio(encoded(stereo), 16000), RAMP / 2, atol=0.5)


def test_files_and_arrays_are_mixed_alike_and_clipped_after():
    loud = np.array([[1.5, 0.3], [1.5, 1.5], [-1.5, 0.5]] * 100, np.float32)  # [n, 2]
    from_file = load_audio(encoded(loud, subtype="FLOAT"), 16000)
    np.testing.assert_array_equal(from_file, to_pcm(loud, 16000, 16000))
    np.testing.assert_array_equal(from_file[:3], [29491, 32767, -16384])


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
def test_a_tone_keeps_its_pitch_and_level_at_any_rate(rate_hz):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)
    samples = load_audio(encoded(tone, rate_hz), 16000)
    assert len(samples) == pytest.approx(16000, abs=1)
    expected = 16384 * np.sin(2 * np.pi * 1000 * np.arange(len(samples)) / 16000)
    inside = slice(1000, -1000)  # away from the filter's ends
    np.testing.assert_allclose(samples[inside], expected[inside], atol=30)


def test_a_clip_is_the_piece_between_offset_and_duration():
    piece = load_audio(Clip(encoded(RAMP), offset_s=0.25, duration_s=0.5), 16000)
    np.testing.assert_array_equal(piece, RAMP[4000:12000])


def test_a_clip_may_end_a_rounding_after_the_recording():
    piece = load_audio(Clip(encoded(RAMP), offset_s=0.5, duration_s=0.55), 16000)
    np.testing.assert_array_equal(piece, RAMP[8000:])


@pytest.mark.parametrize(
    ("offset_s", "duration_s"),
    [
        (-1, 1),
        (0.5, 1),
        (0.5, 0),
        (1, 0.05),
        (1.05, 0.02),
        (1, None),
        (2, 0.1),
        (2, None),
        (float("nan"), 1),
        (0, float("nan")),
    ],
)
def test_a_clip_outside_the_recording_is_refused(offset_s, duration_s):
    with pytest.raises(AudioError, match=r"is 1\.00 s long.*correct offset and duration"):
        load_audio(Clip(encoded(RAMP), offset_s, duration_s), 16000)


def test_the_shortest_clip_is_a_sample():
    piece = load_audio(Clip(encoded(RAMP), offset_s=0.99999, duration_s=1e-6), 16000)
    np.testing.assert_array_equal(piece, RAMP[-1:])


def test_a_wav_written_to_a_pipe_is_read_to_its_end():
    wav = bytearray(encoded(RAMP))
    wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"  # sizes unknown, as ffmpeg writes them
    np.testing.assert_array_equal(load_audio(bytes(wav), 16000), RAMP)


def _wav_with_odd_chunk() -> bytes:
    """A chunk of odd size, and its byte of padding, before the samples."""
    wav = encoded(RAMP)
    return wav[:36] + b"LIST\x05\0\0\0INFO!\0" + wav[36:]


def test_chunks_before_the_samples_are_passed_over():
    np.testing.assert_array_equal(load_audio(_wav_with_odd_chunk(), 16000), RAMP)


def _flac_of_unknown_length() -> bytes:
    flac = bytearray(encoded(RAMP, kind="FLAC"))
    flac[21] &= 0xF0  # the 36 bits of STREAMINFO's sample count
    flac[22:26] = bytes(4)
    return bytes(flac)


def _wav_at(rate_hz: int) -> bytes:
    wav = bytearray(encoded(RAMP))
    wav[24:28] = rate_hz.to_bytes(4, "little")
    return bytes(wav)


HOSTILE = {
    "empty": (b"", "empty"),
    "text": (b"this is no recording\n" * 100, "not audio"),
    "zeros": (bytes(5000), "not audio"),
    "only RIFF": (b"RIFF", "not audio"),
    "only a header": (encoded(RAMP)[:44], "truncated"),
    "half a WAV": (encoded(RAMP)[:16000], "truncated: its header promises 32000 bytes"),
    "WAV short of one sample": (encoded(RAMP)[:-2], "truncated"),
    "half a WAV with an odd chunk": (_wav_with_odd_chunk()[:16000], "truncated"),
    "half an AIFF": (encoded(RAMP, kind="AIFF")[:16000], "truncated"),
    "half a FLAC": (encoded(RAMP, kind="FLAC")[:-2000], "truncated"),
    "only a FLAC header": (encoded(RAMP, kind="FLAC")[:100], "truncated"),
    "no samples": (encoded(RAMP[:0]), "no samples"),
    "NaN": (encoded(np.array([0, np.nan, 0]), subtype="FLOAT"), "1 of 3 samples are NaN"),
    "infinite": (encoded(np.array([0, np.inf]), subtype="FLOAT"), "infinite"),
    "1 Hz": (_wav_at(1), "sample rate is 1 Hz"),
    "2 GHz": (_wav_at(2_000_000_000), "sample rate is 2000000000 Hz"),
}


@pytest.mark.parametrize(("data", "says"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_wrong_with_a_recording_is_said(data, says, tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=says) as raised:
        load_audio(path, 16000, AudioOptions(strict=True))
    assert str(path) in str(raised.value)


def test_a_flac_written_to_a_pipe_needs_ffmpeg(monkeypatch):
    data = _flac_of_unknown_length()
    np.testing.assert_array_equal(load_audio(data, 16000), RAMP)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioError, match=r"does not say how long it is.*install ffmpeg"):
        load_audio(data, 16000)


def test_paths_that_are_no_files_are_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    raw = tmp_path / "headerless.raw"
    raw.write_bytes(RAMP.tobytes())
    cases = {tmp_path: "directory", tmp_path / "gone": "no such file", pipe: "pipe", raw: "audio"}
    for path, says in cases.items():
        with pytest.raises(AudioError, match=says):
            load_audio(path, 16000)


def test_what_is_no_source_at_all_is_refused():
    with pytest.raises(AudioError, match="of type int"):
        load_audio(42, 16000)


@given(arrays.arrays(np.int16, st.integers(1, 300)))
def test_pcm_at_the_right_rate_is_left_alone(samples):
    np.testing.assert_array_equal(to_pcm(samples, 16000, 16000), samples)


@given(arrays.arrays(np.int16, st.integers(1, 300)), st.sampled_from([np.float32, np.float64]))
def test_pcm_survives_floats(samples, kind):
    np.testing.assert_array_equal(to_pcm((samples / 32768).astype(kind), 8000, 8000), samples)


@given(
    arrays.arrays(
        np.float64, st.integers(1, 100), elements=st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_floats_are_rounded_and_clipped(samples):
    exact = np.clip(np.clip(samples, -1, 1) * 32768, -32768, 32767)
    assert np.abs(to_pcm(samples, 16000, 16000) - exact).max() <= 0.51


@given(st.integers(1, 4000), st.sampled_from([8000, 22050, 44100, 48000, 96000]))
def test_resampling_keeps_the_duration(n_samples, rate_hz):
    resampled = to_pcm(np.zeros(n_samples, np.int16), rate_hz, 16000)
    assert len(resampled) == pytest.approx(n_samples * 16000 / rate_hz, abs=1)
    assert not resampled.any()


def test_the_overshoot_of_a_full_scale_square_wave_is_clipped_not_wrapped():
    square = np.tile(np.repeat([32767, -32768], 100), 20).astype(np.int16)
    resampled = to_pcm(square, 16000, 48000).reshape(-1, 300)  # a plateau a row
    plateaus = resampled[:, 6:-6].astype(int)
    assert (plateaus[0::2] > 0).all()
    assert (plateaus[1::2] < 0).all()
    assert resampled.max() == 32767


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(0, np.int16), "no samples"),
        (np.zeros((5, 0), np.int16), "no samples"),
        (np.zeros(5, np.int32), "int32"),
        (np.zeros(5, complex), "complex"),
        (np.array(["a"]), "<U1"),
        (np.zeros((2, 2, 2), np.int16), "shape"),
        (np.zeros((2, 16000), np.int16), "transpose"),
        (np.array(0.5), "shape"),
        (np.array([np.nan]), "1 of 1"),
    ],
)
def test_arrays_that_are_no_audio_are_refused(samples, says):
    with pytest.raises(AudioError, match=says):
        to_pcm(samples, 16000, 16000)
