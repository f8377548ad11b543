"""Several recordings in one file, and damaged ones: all that is there is read, or it is said."""

import re
import struct
import subprocess

import numpy as np
import pytest

from client.audio import AudioOptions, Clip, length_of, load_audio
from client.errors import AudioError, AudioWarning
from tests.client.audio.audio_files import (
    BY_FFMPEG,
    BY_LIBSNDFILE,
    MP3_WITHOUT_TABLE,
    PCM,
    RATE_HZ,
    by_ffmpeg,
    by_libsndfile,
    sphere,
)
from tests.client.support import encoded

WAV = encoded(PCM)
STRICT = AudioOptions(strict=True)
NOISE = np.random.default_rng(0).integers(-8000, 8000, 20 * RATE_HZ).astype(np.int16)
JOINED_BY_FFMPEG = [*(name for name in BY_FFMPEG if name != "wavpack"), "mov", "flv", "voc", "tta"]
MORE_BY_FFMPEG = {
    "mov": ("-f", "mov"),
    "flv": ("-f", "flv", "-ar", "44100"),
    "voc": ("-f", "voc", "-c:a", "pcm_u8"),
    "tta": ("-f", "tta"),
}


@pytest.fixture
def no_ffmpeg(monkeypatch):
    monkeypatch.setenv("PATH", "")


def read(source, options=AudioOptions()):  # noqa: B008 -- frozen
    """The samples, and what is said of them."""
    said = []
    return load_audio(source, RATE_HZ, options, said.append), said


def pack_into(data, layout, *places):
    """The bytes with numbers changed: pairs of a place and what belongs there."""
    changed = bytearray(data)
    for at, value in places:
        struct.pack_into(layout, changed, at, value)
    return bytes(changed)


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("name", [*BY_LIBSNDFILE, "SPHERE"])
def test_recordings_one_after_the_other_are_all_read(name):
    one = sphere(PCM) if name == "SPHERE" else by_libsndfile(name)
    alone, _ = read(one)
    joined, said = read(one * 3, STRICT)
    np.testing.assert_array_equal(joined, np.concatenate([alone] * 3))
    assert not said
    assert length_of(one * 3) == pytest.approx(len(joined) / RATE_HZ, abs=1e-4)


@pytest.mark.parametrize("name", JOINED_BY_FFMPEG)
def test_recordings_that_ffmpeg_reads_one_after_the_other_are_all_read(name):
    one = by_ffmpeg(*(BY_FFMPEG | MORE_BY_FFMPEG)[name])
    alone, _ = read(one)
    joined, _ = read(one * 2)
    # Some demuxers of ffmpeg's go through: a decoder's delay is not taken out there.
    assert len(joined) == pytest.approx(2 * len(alone), abs=0.15 * RATE_HZ)
    assert np.abs(joined[-8000:-2000]).mean() > 5000


def test_mp3_recordings_without_tables_one_after_the_other_are_all_read():
    one = by_ffmpeg(*MP3_WITHOUT_TABLE)
    joined, said = read(one * 2)
    assert len(joined) == pytest.approx(2 * len(read(one)[0]), abs=0.1 * RATE_HZ)
    assert not said


def test_a_piece_may_lie_across_two_recordings():
    for kind in ("WAV", "FLAC", "AU"):
        file = encoded(NOISE, kind=kind) + encoded(NOISE[::-1], kind=kind)
        piece, _ = read(Clip(file, 19.5, 1))
        np.testing.assert_array_equal(piece, [*NOISE[-8000:], *NOISE[::-1][:8000]])
        inside, _ = read(Clip(file, 1, 2))
        np.testing.assert_array_equal(inside, NOISE[RATE_HZ : 3 * RATE_HZ])
        with pytest.raises(AudioError, match=r"is 40\.00 s long"):
            read(Clip(file, 39, 2))


def test_streams_of_ogg_that_follow_each_other_with_one_serial_number_are_all_read():
    one = by_libsndfile("OGG/OPUS")
    serials = {one[at + 14 : at + 18] for at in (m.start() for m in re.finditer(b"OggS", one))}
    assert len(serials) == 1
    joined, said = read(one * 2, STRICT)
    assert len(joined) == 2 * len(PCM)
    assert not said


@pytest.mark.parametrize(
    ("another", "why"),
    [
        (encoded(PCM, 8000), "is at 8000 Hz with 1 channels, after one at 16000 Hz with 1"),
        (encoded(PCM[:0]), "holds no samples"),
    ],
)
def test_a_recording_that_cannot_be_read_after_another_is_left_out_with_a_warning(another, why):
    data = WAV + another + WAV
    samples, (said,) = read(data)
    np.testing.assert_array_equal(samples, np.concatenate([PCM, PCM]))
    assert f"holds a recording, from byte {len(WAV)} on, that is left out: {why}" in said
    with pytest.raises(AudioError, match=why):
        read(data, STRICT)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC", "MP3"])
def test_what_follows_a_recording_and_is_none_is_passed_over(kind):
    one = encoded(PCM, kind=kind)
    alone, _ = read(one)
    for more in (b"TAG".ljust(128, b"\0"), bytes(1000), b"RIFF"):
        after, said = read(one + more)
        np.testing.assert_array_equal(after, alone)
        assert not said


def test_a_wav_of_odd_size_without_its_byte_of_padding_may_be_followed_by_another():
    odd = encoded((PCM[:-1] / 32768), subtype="PCM_U8")
    one = odd[:-1] if len(odd) % 2 == 0 else odd
    alone, _ = read(odd)
    joined, _ = read(one + odd)
    np.testing.assert_array_equal(joined, np.concatenate([alone, alone]))


@pytest.mark.parametrize(
    ("kind", "kept", "piece", "length_s"),
    [
        ("WAV", 44 + 64000, (0, 4), 2),
        ("WAV", 44 + 64000, (1, 3), 1),
        ("AU", 24 + 64000, (1.5, 2), 0.5),
        ("AIFF", 54 + 64000, (1.5, 2), 0.5),
        ("WAV", 44 + 64000, (0.5, 1), 1),
    ],
)
def test_a_piece_of_a_truncated_recording_is_read_as_far_as_it_is_there(
    kind, kept, piece, length_s
):
    data = encoded(NOISE[: 4 * RATE_HZ], kind=kind)[:kept]
    samples, (said,) = read(Clip(data, *piece))
    first = round(piece[0] * RATE_HZ)
    there = NOISE[first : first + round(length_s * RATE_HZ)]
    np.testing.assert_array_equal(samples, there)
    assert "is damaged or truncated: its header promises" in said


@pytest.mark.parametrize("duration_s", [1, None])
@pytest.mark.parametrize("kind", ["WAV", "AU", "FLAC"])
def test_a_piece_that_a_truncated_recording_lost_is_refused_as_truncated(kind, duration_s):
    data = encoded(NOISE[: 4 * RATE_HZ], kind=kind)
    with pytest.raises(AudioError, match="is damaged or truncated"):
        read(Clip(data[: len(data) // 2], 3, duration_s))


def cut_mp3():
    return by_libsndfile("MP3/MPEG_LAYER_III")[:-200]


DAMAGED = {
    "a WAV whose recorder crashed": (pack_into(WAV, "<I", (4, 36), (40, 0)), PCM, "promises 0"),
    "a big-endian one": (
        pack_into(encoded(PCM, endian="BIG"), ">I", (4, 36), (40, 0)),
        PCM,
        "promises 0",
    ),
    "a WAV of 1 byte too many": (pack_into(WAV, "<I", (40, 32001)), PCM, "32001 bytes"),
    "a WAV of 44 bytes too many": (pack_into(WAV, "<I", (40, 32044)), PCM, "32044 bytes"),
    "half a WAV": (WAV[:16044], PCM[:8000], "promises 32000 bytes of samples, 16000 are there"),
    "half an AU": (encoded(PCM, kind="AU")[:16024], PCM[:8000], "16000 are there"),
    "half a SPHERE": (sphere(PCM)[:17024], PCM[:8000], "16000 are there"),
    "an AU whose recorder crashed": (
        pack_into(encoded(PCM, kind="AU"), ">I", (8, 0)),
        PCM,
        "promises 0",
    ),
    "half a CAF": (encoded(PCM, kind="CAF")[: 16000 + 4096], PCM[:8000], "are there"),
}


@pytest.mark.parametrize("ffmpeg", [True, False])
@pytest.mark.parametrize(("data", "there", "says"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_there_of_a_damaged_recording_is_read_with_a_warning(
    data, there, says, ffmpeg, monkeypatch
):
    if not ffmpeg:
        monkeypatch.setenv("PATH", "")
    samples, (said,) = read(data)
    np.testing.assert_array_equal(samples, there)
    assert says in said
    assert said.startswith("audio of ")
    with pytest.raises(AudioError, match=f"damaged or truncated: its header.*{says}"):
        read(data, STRICT)


@pytest.mark.parametrize("ffmpeg", [True, False])
def test_an_mp3_whose_last_frame_is_cut_is_read_up_to_it(ffmpeg, monkeypatch):
    data = cut_mp3()
    if not ffmpeg:
        monkeypatch.setenv("PATH", "")
    samples, said = read(data)
    assert len(samples) == pytest.approx(RATE_HZ, abs=2 * 1152)
    assert len(said) == 1
    with pytest.raises(AudioError, match="truncated"):
        read(data, STRICT)


@pytest.mark.parametrize("ffmpeg", [True, False])
def test_a_flac_is_read_up_to_its_damage_and_by_ffmpeg_beyond(ffmpeg, monkeypatch):
    data = bytearray(encoded(NOISE, kind="FLAC"))
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    if not ffmpeg:
        monkeypatch.setenv("PATH", "")
    samples, said = read(bytes(data))
    assert len(said) == 1
    np.testing.assert_array_equal(samples[: 9 * RATE_HZ], NOISE[: 9 * RATE_HZ])
    if ffmpeg:
        np.testing.assert_array_equal(samples[-9 * RATE_HZ :], NOISE[-9 * RATE_HZ :])
    piece, said = read(Clip(bytes(data), 1, 2))
    np.testing.assert_array_equal(piece, NOISE[RATE_HZ : 3 * RATE_HZ])
    assert not said
    with pytest.raises(AudioError, match="libsndfile says"):
        read(bytes(data), STRICT)


@pytest.mark.parametrize("strict", [True, False])
def test_an_mp3_in_a_wav_is_whole(strict, monkeypatch):
    data = by_ffmpeg("-f", "wav", "-c:a", "mp3")
    monkeypatch.setenv("PATH", "")
    samples, said = read(data, AudioOptions(strict=strict))
    assert len(samples) == pytest.approx(RATE_HZ, abs=0.15 * RATE_HZ)
    assert not said


def test_what_ffmpeg_finds_damaged_is_read_on():
    data = bytearray(by_ffmpeg("-f", "adts", wav=encoded(NOISE)))
    data[10000:11000] = np.random.default_rng(0).bytes(1000)
    samples, (said,) = read(bytes(data))
    assert len(samples) > 18 * RATE_HZ
    assert "ffmpeg says" in said
    with pytest.raises(AudioError, match="ffmpeg says"):
        read(bytes(data), STRICT)


def test_a_wav_of_no_samples_is_no_crashed_one():
    empty = encoded(PCM[:0])
    for data in (empty, empty + b"LIST\4\0\0\0INFO"):
        with pytest.raises(AudioError, match="holds no samples"):
            read(data)


def test_by_default_damage_is_a_warning_of_pythons():
    with pytest.warns(AudioWarning, match="audio of 16044 bytes: is damaged or truncated"):
        load_audio(WAV[:16044], RATE_HZ)


def test_ffmpeg_reads_on_however_much_it_complains():
    arguments = ("-f", "mp4", "-c:a", "aac", "-movflags", "+faststart")
    data = bytearray(by_ffmpeg(*arguments, wav=encoded(np.tile(NOISE, 6))))
    for at in range(data.find(b"mdat") + 500, len(data) - 3, 100):
        data[at : at + 3] = b"\x5a\xc3\x99"
    command = ["ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-ar", str(RATE_HZ), "-"]
    plain = subprocess.run(command, input=data, capture_output=True, check=False)
    assert len(plain.stderr) > 1 << 17  # more than a pipe holds
    samples, (said,) = read(bytes(data))
    assert len(samples) == len(plain.stdout) / 2 > RATE_HZ
    assert "ffmpeg says" in said


@pytest.mark.parametrize("seed", range(6))
def test_damage_that_keeps_the_length_is_told_too(seed):
    """Another decoder may go on behind it and give as many samples as the header promises."""
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(rng.integers(-8000, 8000, 64_000, dtype=np.int16), kind="FLAC"))
    at = len(data) // 6 * (seed + 1) - 200
    data[at : at + 12] = b"\xff\x00" * 6
    said = []
    samples = load_audio(bytes(data), RATE_HZ, warn=said.append)
    assert len(said) == 1
    assert 0 < len(samples) <= 64_000
