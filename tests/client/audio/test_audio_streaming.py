"""Recordings of hours come block by block, in little memory, and nothing is left behind."""

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from client.audio import AudioOptions, load_audio, read_blocks
from client.errors import AudioError
from tests.client.audio.audio_files import (
    BY_FFMPEG,
    BY_LIBSNDFILE,
    by_ffmpeg,
    by_libsndfile,
    peak_bytes,
    reset_peak,
)
from tests.client.support import encoded
from tests.conftest import PROJECT

MB = 1 << 20
STRICT = AudioOptions(strict=True)


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).integers(-8000, 8000, n_samples).astype(np.int16)


@pytest.fixture(scope="module")
def half_an_hour(tmp_path_factory):
    """A file of 55 MiB at 16 kHz."""
    path = tmp_path_factory.mktemp("long") / "noise.wav"
    with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as file:
        for minute in range(30):
            file.write(noise(60 * 16000, minute))
    return path


@pytest.mark.parametrize("rate_hz", [16000, 8000, 44100])
def test_blocks_need_little_memory(half_an_hour, rate_hz):
    before = reset_peak()
    lengths = [len(block) for block in read_blocks(half_an_hour, rate_hz)]
    assert peak_bytes() - before < 16 * MB
    assert sum(lengths) == pytest.approx(1800 * rate_hz, abs=1)
    assert max(lengths) < 20 * rate_hz


def test_loading_takes_the_memory_of_the_result_and_little_more(half_an_hour):
    # In a process of its own: what an older one has given back may come again.
    program = (
        "import sys; from client.audio import load_audio; "
        "from tests.client.audio.audio_files import *; "
        "before = reset_peak(); samples = load_audio(sys.argv[1], 16000); "
        "print((peak_bytes() - before) / samples.nbytes)"
    )
    command = [sys.executable, "-c", program, half_an_hour]
    share = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout
    assert float(share) < 1.5
    samples = load_audio(half_an_hour, 16000)
    np.testing.assert_array_equal(samples[-60 * 16000 :], noise(60 * 16000, 29))


@pytest.mark.parametrize("rates", [(8000, 16000), (44100, 16000), (48000, 16000), (11025, 16000)])
def test_resampling_in_blocks_equals_resampling_at_once(rates):
    rate_hz, sample_rate_hz = rates
    recorded = noise(20 * rate_hz)
    at_once = soxr.resample((recorded / 32768).astype(np.float32), rate_hz, sample_rate_hz)
    in_blocks = load_audio(encoded(recorded, rate_hz), sample_rate_hz)
    assert len(in_blocks) == len(at_once)
    np.testing.assert_allclose(in_blocks, at_once * 32768, atol=0.51)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "CAF"])
def test_decoding_in_blocks_equals_decoding_at_once(kind):
    data = encoded(noise(20 * 16000), kind=kind)
    path_samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(load_audio(data, 16000), path_samples * 32768, atol=0.51)


def test_what_was_whole_comes_before_the_error():
    data = encoded(noise(20 * 16000), kind="FLAC")
    blocks = read_blocks(data[: len(data) // 2], 16000, STRICT)
    np.testing.assert_array_equal(next(blocks)[:1000], noise(20 * 16000)[:1000])
    with pytest.raises(AudioError, match="truncated"):
        list(blocks)


def open_files():
    return set(Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("name", [*BY_LIBSNDFILE, *BY_FFMPEG])
@pytest.mark.parametrize("how", ["to the end", "abandoned", "truncated", "truncated, strict"])
def test_nothing_is_left_open(name, how):
    data = by_ffmpeg(*BY_FFMPEG[name]) if name in BY_FFMPEG else by_libsndfile(name)
    before = open_files()
    truncated = how.startswith("truncated")
    options = AudioOptions(strict="strict" in how)
    said = []
    blocks = read_blocks(data[: len(data) // 2] if truncated else data, 16000, options, said.append)
    try:
        next(blocks)
        if how != "abandoned":
            list(blocks)
    except AudioError:
        assert truncated
    assert truncated or not said
    blocks.close()
    assert open_files() <= before  # another test's may be closed only now


def test_ffmpeg_stops_at_the_first_damage():
    data = bytearray(by_ffmpeg("-f", "adts", wav=encoded(noise(60 * 16000))))
    data[10000:11000] = np.random.default_rng(0).bytes(1000)
    n_samples = 0
    with pytest.raises(AudioError, match="ffmpeg says"):  # noqa: PT012
        for block in read_blocks(bytes(data), 16000, STRICT):
            n_samples += len(block)
    assert n_samples < 20 * 16000


def program(folder, script):
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_an_ffmpeg_that_hangs_is_given_up_and_ended(tmp_path, monkeypatch):
    program(tmp_path, f"echo $$ > {tmp_path}/process; exec /bin/sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("client.audio.ffmpeg._STALL_S", 0.5)
    begun = time.monotonic()
    with pytest.raises(AudioError, match=r"ffmpeg gave nothing for 0\.5 s"):
        load_audio(b"no audio", 16000)
    assert time.monotonic() - begun < 5
    process = int((tmp_path / "process").read_text())
    assert not Path(f"/proc/{process}").exists()


def test_ffmpegs_memory_is_limited(tmp_path, monkeypatch):
    program(tmp_path, "/bin/sleep 0.5; ulimit -v >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match="ffmpeg says: 1048576"):
        load_audio(b"no audio", 16000)


def test_what_ffmpeg_says_cannot_drive_a_terminal(tmp_path, monkeypatch):
    program(tmp_path, r"printf '[x @ 0x1] \033[31mred\n' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError) as raised:
        load_audio(b"no audio", 16000)
    assert "ffmpeg says: [31mred)" in str(raised.value)
