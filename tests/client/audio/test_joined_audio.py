"""Recordings that go on where their header says that they end: more samples, others, or junk."""

import struct

import numpy as np
import pytest

from client.audio import AudioOptions, Clip, load_audio
from client.errors import AudioError
from tests.client.audio.audio_files import BY_FFMPEG, PCM, RATE_HZ, by_ffmpeg, by_libsndfile, sphere
from tests.client.support import encoded

RANDOM = np.random.default_rng(0)
SPEECH_LIKE = RANDOM.integers(-8000, 8000, 4 * RATE_HZ).astype(np.int16)
WAV = encoded(SPEECH_LIKE)
SECOND = 2 * RATE_HZ  # bytes
STRICT = AudioOptions(strict=True)


def read(source, options=AudioOptions()):  # noqa: B008 -- frozen
    """The samples, and what is said of them."""
    said = []
    return load_audio(source, RATE_HZ, options, said.append), said


def promising(size, kind, layout, name, distance, **more):
    """Four seconds whose header says ``size``, so far behind the ``name`` of a field."""
    data = bytearray(encoded(SPEECH_LIKE, kind=kind, **more))
    struct.pack_into(layout, data, data.find(name) + distance, size)
    return bytes(data)


MORE_THAN_PROMISED = {
    "WAV": promising(SECOND, "WAV", "<I", b"data", 4),
    "a big-endian WAV": promising(SECOND, "WAV", ">I", b"data", 4, endian="BIG"),
    "AU": promising(SECOND, "AU", ">I", b".snd", 8),
    "CAF": promising(4 + SECOND, "CAF", ">Q", b"data", 4),
    "RF64": promising(SECOND, "RF64", "<Q", b"ds64", 16),
    "W64": promising(24 + SECOND, "W64", "<Q", b"data", 16),
    "SPHERE": sphere(SPEECH_LIKE).replace(b"sample_count -i 64000", b"sample_count -i 16000"),
}


@pytest.mark.parametrize("data", MORE_THAN_PROMISED.values(), ids=MORE_THAN_PROMISED)
def test_samples_beyond_those_that_the_header_promises_are_read_with_a_warning(data):
    samples, (said,) = read(data)
    np.testing.assert_array_equal(samples, SPEECH_LIKE)
    assert "its header promises 3200" in said
    assert "128000 are there" in said or "128004 are there" in said
    with pytest.raises(AudioError, match="its header promises 3200"):
        read(data, STRICT)


def test_what_cannot_be_read_beyond_a_promise_is_said_to_be_left_out():
    samples, (said,) = read(promising(8 + SECOND, "AIFF", ">I", b"SSND", 4))
    np.testing.assert_array_equal(samples, SPEECH_LIKE[:RATE_HZ])
    assert "96000 of unknown content follow, which are left out" in said


JUNK = {
    "random bytes": RANDOM.bytes(50_000),
    "a text": b"Call 17, agent 4: nothing to report.\n" * 100,
    "a text that is not English": "Звонок 17, оператор 4\n".encode() * 100,
    "random bytes after a chunk": b"LIST\4\0\0\0INFO" + RANDOM.bytes(5000),
    "samples after a chunk": b"LIST\4\0\0\0INFO" + SPEECH_LIKE.tobytes(),
}


@pytest.mark.parametrize("after", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("more", [b"", WAV], ids=["", "another recording"])
def test_unknown_content_after_a_recording_becomes_no_noise_and_is_told(after, more):
    samples, (said,) = read(WAV + after + more)
    np.testing.assert_array_equal(samples, np.tile(SPEECH_LIKE, 2 if more else 1))
    assert "of unknown content follow, which are left out" in said
    with pytest.raises(AudioError, match="of unknown content"):
        read(WAV + after + more, STRICT)


METADATA = {
    "a whole chunk": b"LIST\4\0\0\0INFO",
    "half a chunk": b"LIST\xff\xff\0\0INFO" + RANDOM.bytes(3000),
    "an ID3 tag": b"ID3\4\0\0\0\0\x0f\0" + RANDOM.bytes(1920),
    "an ID3v1 tag": b"TAG".ljust(128, b"x"),
    "an APE tag": b"APETAGEX" + RANDOM.bytes(2000),
    "zeros": bytes(100_000),
    "a few bytes": RANDOM.bytes(200),
}


@pytest.mark.parametrize("after", METADATA.values(), ids=METADATA)
@pytest.mark.parametrize("more", [b"", WAV], ids=["", "another recording"])
def test_metadata_after_a_recording_is_passed_over_in_silence(after, more):
    samples, said = read(WAV + after + more, STRICT)
    np.testing.assert_array_equal(samples, np.tile(SPEECH_LIKE, 2 if more else 1))
    assert not said


def test_a_tag_before_a_recording_takes_nothing_from_its_end():
    for kind in ("WAV", "AIFF", "AU", "FLAC"):
        tagged = METADATA["an ID3 tag"] + encoded(SPEECH_LIKE, kind=kind)
        samples, said = read(tagged, STRICT)
        np.testing.assert_array_equal(samples, SPEECH_LIKE)
        assert not said


@pytest.mark.parametrize(
    ("kind", "header_bytes"), [("WAV", 44), ("AU", 24), ("AIFF", 54), ("CAF", 4096)]
)
@pytest.mark.parametrize("kept_s", [1, 3.75])
def test_a_recording_after_a_truncated_one_is_no_part_of_its_samples(kind, header_bytes, kept_s):
    whole = encoded(SPEECH_LIKE, kind=kind)
    short = encoded(PCM[:4000], kind=kind)
    kept = round(kept_s * RATE_HZ)
    for after, its_own in ((whole, SPEECH_LIKE), (short, PCM[:4000])):
        samples, (said,) = read(whole[: header_bytes + 2 * kept] + after)
        np.testing.assert_array_equal(samples, [*SPEECH_LIKE[:kept], *its_own])
        field_bytes = {"CAF": 4, "AIFF": 8}.get(kind, 0)
        assert f"{2 * kept + field_bytes} are there" in said


def by_name():
    """The tone in kinds that say where they end, and in others."""
    files = {
        name.partition("/")[0]: by_libsndfile(name)
        for name in ("WAV/PCM_16", "AU/PCM_16", "CAF/PCM_16", "AIFF/PCM_16", "FLAC/PCM_16")
    }
    files["Vorbis"] = by_libsndfile("OGG/VORBIS")
    files["MP3"] = by_libsndfile("MP3/MPEG_LAYER_III")
    files["SPHERE"] = sphere(PCM)
    files["MP4"] = by_ffmpeg(*BY_FFMPEG["mp4"])
    files["Matroska of FLAC"] = by_ffmpeg(*BY_FFMPEG["matroska"])
    files["Ogg of FLAC"] = by_ffmpeg(*BY_FFMPEG["ogg flac"])
    return files


@pytest.mark.parametrize("first", by_name())
def test_recordings_of_different_kinds_one_after_the_other_are_all_read(first):
    files = by_name()
    for second, data in files.items():
        samples, said = read(files[first] + data, STRICT)
        # ffmpeg leaves an encoder's padding in.
        assert len(samples) == pytest.approx(2 * RATE_HZ, abs=0.1 * RATE_HZ), second
        assert np.abs(samples[-8000:-2000]).mean() > 5000, second
        assert not said


def test_a_wav_header_in_the_metadata_of_a_flac_is_no_recording():
    """``flac --keep-foreign-metadata`` puts it there."""
    flac = encoded(SPEECH_LIKE, kind="FLAC")
    foreign = b"riff" + WAV[:12]
    block = b"\x02" + len(foreign).to_bytes(3, "big") + foreign
    data = flac[:42] + block + flac[42:]
    for source in (data, data + WAV):
        samples, said = read(source, STRICT)
        np.testing.assert_array_equal(samples, np.tile(SPEECH_LIKE, 1 + (source != data)))
        assert not said


@pytest.mark.parametrize("first", [encoded(PCM[:0]), WAV[:44], encoded(PCM[:0], kind="AU")])
def test_recordings_after_one_that_cannot_be_read_are_read(first):
    samples, (said,) = read(first + WAV)
    np.testing.assert_array_equal(samples, SPEECH_LIKE)
    assert "holds a recording, from byte 0 on, that is left out" in said
    with pytest.raises(AudioError):
        read(first + WAV, STRICT)


def test_of_several_recordings_none_of_which_can_be_read_the_first_ones_error_is_raised():
    with pytest.raises(AudioError, match="holds no samples"):
        read(encoded(PCM[:0]) * 2)


def test_a_piece_lies_across_recordings_of_different_kinds():
    data = encoded(SPEECH_LIKE, kind="FLAC") + WAV
    samples, said = read(Clip(data, 3, 2))
    np.testing.assert_array_equal(samples, [*SPEECH_LIKE[-RATE_HZ:], *SPEECH_LIKE[:RATE_HZ]])
    assert not said
