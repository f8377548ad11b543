"""Every format gives the same tone; what cannot be read says what would help."""

import io
import re
import subprocess
from contextlib import closing

import numpy as np
import pytest

from client.audio import AudioOptions, Clip, RawFormat, load_audio
from client.audio.containers import parts
from client.audio.ffmpeg import FfmpegReader
from client.errors import AudioError
from tests.client.audio.audio_files import (
    BY_FFMPEG,
    BY_LIBSNDFILE,
    MP3_WITHOUT_TABLE,
    PCM,
    RATE_HZ,
    SECONDS,
    by_ffmpeg,
    by_libsndfile,
    sphere,
)
from tests.client.support import encoded

STRICT = AudioOptions(strict=True)
STEREO = np.stack([PCM, -PCM], axis=1)  # [n, 2]


@pytest.fixture
def no_ffmpeg(monkeypatch):
    monkeypatch.setenv("PATH", "")


def assert_is_the_tone(samples, delay_s=0.1):
    """The tone at its level, as long as it was but for what lossy encoders add at the ends."""
    assert len(samples) == pytest.approx(len(PCM), abs=delay_s * RATE_HZ)
    inside = samples[4000:12000] / 32768
    carrier = np.exp(2j * np.pi * 1000 * SECONDS[: len(inside)])
    amplitude = 2 * np.abs(np.mean(inside * carrier))
    assert amplitude == pytest.approx(0.5, rel=0.1)
    rest = np.sqrt(max(0.0, np.mean(inside**2) - amplitude**2 / 2))
    assert rest < 0.03


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("name", BY_LIBSNDFILE)
def test_libsndfile_reads(name):
    assert_is_the_tone(load_audio(by_libsndfile(name), RATE_HZ))


@pytest.mark.parametrize("name", BY_FFMPEG)
def test_ffmpeg_reads(name):
    assert_is_the_tone(load_audio(by_ffmpeg(*BY_FFMPEG[name]), RATE_HZ))


@pytest.mark.parametrize("name", BY_FFMPEG)
def test_what_needs_ffmpeg_says_so_where_it_is_not_installed(name, monkeypatch):
    data = by_ffmpeg(*BY_FFMPEG[name])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioError, match="ffmpeg, which reads most others, is not installed"):
        load_audio(data, RATE_HZ)


def test_ffmpeg_gives_sixteen_bit_mono_bit_by_bit():
    lossless = by_ffmpeg("-f", "matroska", "-c:a", "flac")
    np.testing.assert_array_equal(load_audio(lossless, RATE_HZ), PCM)


@pytest.mark.parametrize("kind", ["matroska", "webm", "mp3", "wav", "ogg", "adts", "mpegts"])
def test_what_ffmpeg_writes_into_a_pipe_is_read(kind):
    """No place to seek back to: lengths and tables are missing."""
    command = ["ffmpeg", "-v", "error", "-i", "-", "-f", kind, "-"]
    wav = by_libsndfile("WAV/PCM_16")
    piped = subprocess.run(command, input=wav, capture_output=True, check=True).stdout
    assert_is_the_tone(load_audio(piped, RATE_HZ), delay_s=0.15)


def test_what_phones_record_in_amr_is_read():
    frames = b"\x3c" + bytes(31)  # 20 ms at 12.2 kbit/s, RFC 4867
    assert len(load_audio(b"#!AMR\n" + 50 * frames, RATE_HZ)) == pytest.approx(RATE_HZ, abs=1)


def test_a_sound_track_is_taken_out_of_a_video(tmp_path):
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1", "-shortest")
    path = tmp_path / "-i http: concat:film.mp4"  # a name that no program should read
    path.write_bytes(by_ffmpeg(*picture, "-f", "mp4", "-movflags", "frag_keyframe"))
    assert_is_the_tone(load_audio(path, RATE_HZ))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rates_and_channels(rate_hz, channels):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)
    wide = np.repeat(tone[:, None], channels, axis=1)  # [n, channels]
    assert_is_the_tone(load_audio(encoded(wide, rate_hz), RATE_HZ), delay_s=1e-4)


def test_sphere_as_the_corpora_have_it():
    np.testing.assert_array_equal(load_audio(sphere(PCM), RATE_HZ), PCM)
    left = load_audio(sphere(np.stack([PCM, 0 * PCM], axis=1)), RATE_HZ, AudioOptions(channel=1))
    np.testing.assert_array_equal(left, PCM)


def test_sphere_compressed_with_shorten_is_refused_by_name():
    data = sphere(PCM, "sample_coding -s26 pcm,embedded-shorten-v2.00")
    with pytest.raises(AudioError, match=r"compressed with shorten.*sph2pipe"):
        load_audio(data, RATE_HZ)


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize(
    "name", [name for name in BY_LIBSNDFILE if not re.search("FLAC|OGG|GSM|ADPCM", name)]
)
def test_a_file_that_ends_too_early_is_refused(name):
    data = by_libsndfile(name)
    for length in (len(data) // 2, len(data) - 10):
        with pytest.raises(AudioError, match="truncated"):
            load_audio(data[:length], RATE_HZ, STRICT)


@pytest.mark.parametrize("name", ["mp4", "fragmented mp4", "webm", "adts", "wavpack"])
def test_what_ffmpeg_complains_about_is_refused(name):
    data = by_ffmpeg(*BY_FFMPEG[name])
    with pytest.raises(AudioError, match="truncated"):
        load_audio(data[: len(data) * 2 // 3], RATE_HZ, STRICT)


def test_an_mp3_without_a_table_of_frames_is_read_to_its_end(monkeypatch):
    """What libsndfile guesses from the first bit rate is not how long it is."""
    wav = encoded(
        np.concatenate([PCM / 32768, np.random.default_rng(0).normal(0, 0.2, 5 * RATE_HZ)])
    )
    data = by_ffmpeg(*MP3_WITHOUT_TABLE, wav=wav)
    monkeypatch.setenv("PATH", "")
    samples = load_audio(data, RATE_HZ)
    assert len(samples) == pytest.approx(6 * RATE_HZ, abs=0.2 * RATE_HZ)
    assert np.abs(samples[-RATE_HZ:].astype(int)).mean() > 1000
    piece = load_audio(Clip(data, 2.5, 1.5), RATE_HZ)
    np.testing.assert_array_equal(piece, samples[40000:64000])
    with pytest.raises(AudioError, match=r"is 6\.\d\d s long.*correct offset and duration"):
        load_audio(Clip(data, 5, 2), RATE_HZ)


def test_pieces_of_what_ffmpeg_reads():
    data = by_ffmpeg(*BY_FFMPEG["webm"])
    whole = load_audio(data, 48000)
    piece = load_audio(Clip(data, 0.25, 0.5), 48000)
    np.testing.assert_array_equal(piece, whole[12000:36000])
    with pytest.raises(AudioError, match=r"is 1\.\d\d s long.*correct offset and duration"):
        load_audio(Clip(data, 0.5, 1), 48000)


@pytest.mark.parametrize(
    ("codec", "rate_hz", "allowed"), [("alac", 44100, 0), ("aac", 44100, 3), ("libopus", 48000, 3)]
)
@pytest.mark.parametrize("fragments", [(), ("-movflags", "frag_keyframe+empty_moov")])
def test_a_piece_of_an_mp4_is_what_decoding_from_the_start_gives(
    codec, rate_hz, allowed, fragments, tmp_path
):
    sweep = 0.5 * np.sin(2 * np.pi * (200 + 40 * np.arange(12 * RATE_HZ) / RATE_HZ) ** 2 / 80)
    path = tmp_path / "audio"
    arguments = ("-f", "mp4", "-c:a", codec, "-ar", str(rate_hz), *fragments)
    path.write_bytes(by_ffmpeg(*arguments, wav=encoded(sweep)))
    whole = load_audio(path, rate_hz).astype(int)
    for offset_s in (1.5, 4.321, 9.0):
        piece = load_audio(Clip(path, offset_s, 1.25), rate_hz)
        start = round(offset_s * rate_hz)
        assert np.abs(piece - whole[start : start + len(piece)]).max() <= allowed
    with path.open("rb", buffering=0) as file:
        (part,) = parts(file)
        with closing(FfmpegReader(file, part, "", start_s=9.0)) as reader:
            assert reader.seek(9 * rate_hz) == 7 * rate_hz
    for beyond_s in (11.5, 60):
        with pytest.raises(AudioError, match=r"is 12\.\d\d s long, the piece goes from"):
            load_audio(Clip(path, beyond_s, 1), rate_hz)


def test_a_channel_is_counted_from_one():
    data = encoded(np.stack([PCM, 0 * PCM], axis=1))
    np.testing.assert_array_equal(load_audio(data, RATE_HZ, AudioOptions(channel=1)), PCM)
    assert not load_audio(data, RATE_HZ, AudioOptions(channel=2)).any()
    assert not load_audio(encoded(STEREO), RATE_HZ).any()  # the mean
    with pytest.raises(AudioError, match="has 2 channels, expected at least 3"):
        load_audio(data, RATE_HZ, AudioOptions(channel=3))


@pytest.mark.parametrize(
    ("encoding", "samples"),
    [
        ("s16le", PCM.astype("<i2")),
        ("s16be", PCM.astype(">i2")),
        ("s32le", (PCM.astype(np.int64) << 16).astype("<i4")),
        ("f32le", (PCM / 32768).astype("<f4")),
        ("f64be", (PCM / 32768).astype(">f8")),
        ("u8", (PCM // 256 + 128).astype(np.uint8)),
        ("s8", (PCM // 256).astype(np.int8)),
    ],
)
def test_raw_samples(encoding, samples):
    options = AudioOptions(raw=RawFormat(RATE_HZ, encoding=encoding))
    expected = PCM // 256 * 256 if encoding in {"u8", "s8"} else PCM
    np.testing.assert_array_equal(load_audio(samples.tobytes(), RATE_HZ, options), expected)


def test_raw_samples_that_look_like_a_file_stay_samples():
    options = AudioOptions(raw=RawFormat(RATE_HZ, channels=2))
    loaded = load_audio(encoded(STEREO), RATE_HZ, options)
    assert len(loaded) == RATE_HZ + 11  # its header of 44 bytes, too


def test_a_pipe_is_read_though_it_cannot_seek(tmp_path):
    data = by_libsndfile("FLAC/PCM_16")
    (tmp_path / "audio").write_bytes(data)
    with subprocess.Popen(["cat", tmp_path / "audio"], stdout=subprocess.PIPE) as cat:
        np.testing.assert_array_equal(load_audio(cat.stdout, RATE_HZ), PCM)


def test_text_streams_are_refused():
    with pytest.raises(AudioError, match="gives str, expected bytes"):
        load_audio(io.StringIO("RIFF"), RATE_HZ)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AudioOptions(channel=0), "count from 1"),
        (lambda: AudioOptions(channel=9), "expected 1 to 8"),
        (lambda: AudioOptions(max_bytes=0), "above 0"),
        (lambda: AudioOptions(max_duration_s=float("nan")), "above 0"),
        (lambda: RawFormat(16000, channels=0), "0 channels"),
        (lambda: RawFormat(16), "16 Hz"),
        (lambda: RawFormat(16000, encoding="mp3"), "expected one of s8, u8, s16le"),
    ],
)
def test_options_that_cannot_be(make, says):
    with pytest.raises(AudioError, match=says):
        make()


def test_limits_hold_for_every_kind_of_source(tmp_path):
    data = by_libsndfile("WAV/PCM_16")
    path = tmp_path / "audio.wav"
    path.write_bytes(data)
    small = AudioOptions(max_bytes=len(data) - 1)
    with path.open("rb") as stream:
        for source in (path, data, stream):
            with pytest.raises(AudioError, match=r"expected at most 32043 \(max_bytes\): cut it"):
                load_audio(source, RATE_HZ, small)
    short = AudioOptions(max_duration_s=0.9)
    with pytest.raises(AudioError, match=r"is 1\.0 s long, expected at most 0\.9 s"):
        load_audio(path, RATE_HZ, short)
    assert len(load_audio(Clip(path, 0.1, 0.9), RATE_HZ, short)) == 14400


def test_the_limit_of_length_holds_where_only_the_end_tells_it():
    data = by_ffmpeg(*BY_FFMPEG["mp4"])
    with pytest.raises(AudioError, match=r"is longer, expected at most 0\.5 s"):
        load_audio(data, RATE_HZ, AudioOptions(max_duration_s=0.5))
    assert len(load_audio(Clip(data, 0.5, 0.4), RATE_HZ, AudioOptions(max_duration_s=0.5))) == 6400
