"""Hostile recordings give samples or a typed error, within 5 s and 64 MiB, and reach nothing else.

Two thousand are made by seed and read in processes of their own (``hostile_files``); others are
made by hand here.
"""

import json
import math
import os
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.audio import AudioOptions, load_audio
from client.errors import AudioError
from tests.client.audio.audio_files import (
    PCM,
    by_libsndfile,
    peak_bytes,
    reset_peak,
    sphere,
)
from tests.client.audio.hostile_files import OPTIONS
from tests.client.support import encoded

PROJECT = Path(__file__).resolve().parents[3]
MOST_S = 5.0
MOST_BYTES = 64 << 20
N_FILES = 2000
N_PARTS = 2


def outcomes(first, last):
    """What became of the files of these seeds."""
    command = [sys.executable, "-W", "error", "-m", "tests.client.audio.hostile_files"]
    run = subprocess.run(
        [*command, str(first), str(last)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=240,
    )
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"at {records[-1:]}: {run.returncode}\n{run.stderr[-2000:]}"
    return [begin | end for begin, end in zip(records[::2], records[1::2], strict=True)]


def test_two_thousand_damaged_files_neither_crash_nor_hang_nor_fill_memory():
    size = N_FILES // N_PARTS
    with ThreadPoolExecutor(N_PARTS) as threads:
        firsts = range(0, N_FILES, size)
        parts = list(threads.map(outcomes, firsts, [first + size for first in firsts]))
    files = [file for part in parts for file in part]
    assert len(files) == N_FILES
    assert max(files, key=lambda file: file["seconds"])["seconds"] < MOST_S
    assert max(files, key=lambda file: file["extra_bytes"])["extra_bytes"] < MOST_BYTES
    errors = sum(file["outcome"].startswith("AudioError: audio of") for file in files)
    samples = sum(file["outcome"].startswith("int16") for file in files)
    assert errors + samples == N_FILES
    assert min(errors, samples) > N_FILES / 5  # the damage is neither trifling nor gross


@contextmanager
def bounded():
    before, begun = reset_peak(), time.monotonic()
    yield
    assert time.monotonic() - begun < MOST_S
    assert peak_bytes() - before < MOST_BYTES


def with_field(kind, at, layout, *values):
    data = bytearray(by_libsndfile(kind))
    struct.pack_into(layout, data, at, *values)
    return bytes(data)


def silence(minutes, **kind):
    return encoded(np.zeros(minutes * 60 * 8000, np.int16), 8000, **kind)


def flac_of(n_samples):
    """A FLAC header's 36 bits of length."""
    flac = bytearray(by_libsndfile("FLAC/PCM_16"))
    flac[21] = flac[21] & 0xF0 | n_samples >> 32
    flac[22:26] = (n_samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(flac)


def mp3_of(n_frames):
    """An MP3 file's table of frames."""
    mp3 = bytearray(by_libsndfile("MP3/MPEG_LAYER_III"))
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    struct.pack_into(">I", mp3, at + 8, n_frames)
    return bytes(mp3)


def floats(*samples):
    return encoded(np.array(samples, np.float32), subtype="FLOAT")


WAV = "WAV/PCM_16"
HAND_MADE = {
    "NaN": (floats(0, math.nan, 0), "1 of 3 samples are NaN or infinite"),
    "infinite": (floats(0, -math.inf), "NaN or infinite"),
    "a mean that overflows": (floats([3e38, 3e38], [0, 0]), "NaN or infinite"),
    "infinities that cancel": (floats([math.inf, -math.inf]), "NaN or infinite"),
    "20 minutes of silence in FLAC": (silence(20, kind="FLAC"), "1200.0 s long, expected at most"),
    "10 minutes in Opus": (silence(10, kind="OGG", subtype="OPUS"), "600.0 s long"),
    "10 minutes in MP3": (silence(10, kind="MP3"), "600.0 s long"),
    "50 days in a FLAC header": (flac_of(2**36 - 1), "expected at most 120 s"),
    "100 s in a header, 1 s there": (flac_of(1_600_000), "truncated|lost sync"),
    "years in an MP3 header": (mp3_of(2**32 - 1), "expected at most 120 s"),
    "no channels": (with_field(WAV, 22, "<H", 0), "not audio|truncated"),
    "9 channels": (with_field(WAV, 22, "<H", 9), "9 channels, expected 1 to 8"),
    "1024 channels": (encoded(np.zeros((10, 1024))), "1024 channels, expected 1 to 8"),
    "65535 channels": (with_field(WAV, 22, "<H", 65535), "not audio|truncated"),
    "0 Hz": (with_field(WAV, 24, "<I", 0), "not audio"),
    "4 GHz": (with_field(WAV, 24, "<I", 2**32 - 1), "not audio"),
    "no bits": (with_field(WAV, 34, "<H", 0), "not audio|truncated"),
    "2 GB promised": (with_field(WAV, 40, "<I", 0x7FFF_0000), "truncated: its header promises 21"),
    "an AU header beyond the end": (with_field("AU/PCM_16", 4, ">I", 2**31), "truncated"),
    "W64 chunks of less than nothing": (
        with_field("W64/PCM_16", 56, "<Q", 0),
        "not audio|truncated",
    ),
    "W64 chunks of 2 ** 64": (with_field("W64/PCM_16", 56, "<Q", 2**64 - 1), "not audio|truncated"),
    "a million chunks": (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 10**6, "more than 1000 chunks"),
    "SPHERE of 10 ** 15 samples": (sphere(PCM, "sample_count -i 999999999999999"), "truncated"),
    "SPHERE without end": (
        by_libsndfile("NIST/PCM_16").replace(b"end_head", b""),
        "not audio|truncated",
    ),
    "an ID3 tag of 256 MB": (b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(1000), "not audio"),
    "half an ID3 tag": (b"ID3\4", "not audio"),
    "the beginnings of MP3 frames": (b"\xff\xfb\x90\0" * 10**5, "damaged or truncated"),
    "ones": (b"\xff" * 10**5, "not audio"),
    "zeros": (bytes(10**6), "not audio"),
    "noise": (np.random.default_rng(0).bytes(10**6), "not audio"),
    "text": (b"All work and no play makes Jack a dull boy.\n" * 1000, "not audio"),
    "text in UTF-16": (("All work and no play\n" * 1000).encode("utf-16"), "not audio"),
    "JSON": (b'{"audio_filepath": "a.wav", "duration": 1}\n', "not audio"),
    "an archive": (b"PK\3\4" + np.random.default_rng(1).bytes(10000), "not audio"),
    "a picture": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\2\0\0\0",
        "not audio",
    ),
    "a program": (Path(sys.executable).read_bytes()[: 1 << 20], "not audio"),
}


@pytest.mark.parametrize("ffmpeg", [True, False])
@pytest.mark.parametrize(("data", "says"), HAND_MADE.values(), ids=HAND_MADE)
def test_hand_made_files_are_refused(data, says, ffmpeg, monkeypatch):
    if not ffmpeg:
        monkeypatch.setenv("PATH", "")
    with bounded(), pytest.raises(AudioError, match=says):
        load_audio(data, 16000, replace(OPTIONS, strict=True))


def test_a_bomb_of_unknown_length_is_stopped_where_it_gets_too_long():
    flac = bytearray(silence(20, kind="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    with bounded(), pytest.raises(AudioError, match="is longer, expected at most 120 s"):
        load_audio(bytes(flac), 16000, OPTIONS)


def loop(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def dangling(folder):
    (folder / "dangling").symlink_to(folder / "nothing")
    return folder / "dangling"


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def sparse(folder):
    with (folder / "sparse.wav").open("wb") as file:
        file.truncate(1 << 40)
    return folder / "sparse.wav"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (lambda folder: folder, "is a directory"),
        (loop, "cannot be read: Too many levels of symbolic links"),
        (dangling, "no such file"),
        (pipe, "is a device or pipe"),
        (sparse, "has 1099511627776 bytes or more, expected at most 4294967296"),
        *((lambda _, name=name: name, "device or pipe") for name in ("/dev/zero", "/dev/random")),
        (lambda _: "/proc/self/mem", "is empty|cannot be read"),
        (lambda _: "a\0.wav", "cannot be a path"),
        (lambda _: "\ud800.wav", "cannot be a path"),
        (lambda _: "", "no such file"),
        (lambda _: "a" * 5000, "cannot be read: File name too long"),
        (lambda _: "-", "no such file"),
        (lambda _: "http://127.0.0.1/a.wav", "no such file"),
        (lambda _: "concat:a.wav|b.wav", "no such file"),
    ],
)
def test_hostile_paths_are_refused(path, says, tmp_path):
    with bounded(), pytest.raises(AudioError, match=says):
        load_audio(path(tmp_path), 16000)


def test_an_endless_stream_is_refused():
    options = AudioOptions(max_bytes=10 << 20)
    with bounded(), Path("/dev/zero").open("rb") as stream, pytest.raises(AudioError, match="most"):
        load_audio(stream, 16000, options)


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\na=control:{target}\n",
}


@pytest.mark.parametrize(
    "target", ["secret.wav", "{folder}/secret.wav", "http://{address}/a.wav", "0"]
)
@pytest.mark.parametrize("playlist", PLAYLISTS.values(), ids=PLAYLISTS)
@pytest.mark.parametrize("as_file", [True, False])
def test_a_playlist_reaches_no_other_file_and_no_address(playlist, target, as_file, tmp_path):
    (tmp_path / "secret.wav").write_bytes(by_libsndfile(WAV))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = "{}:{}".format(*server.getsockname())
        target = target.format(folder=tmp_path, address=address)
        path = tmp_path / "list.m3u8"
        path.write_text(playlist.format(target=target))
        with bounded(), pytest.raises(AudioError, match="not audio"):
            load_audio(path if as_file else path.read_bytes(), 16000)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_scripts_of_ffmpegs_are_no_container_for_it():
    """Even "0", itself by the name that it has in ffmpeg's process."""
    with bounded(), pytest.raises(AudioError, match="Format not on whitelist"):
        load_audio(PLAYLISTS["ffconcat"].format(target="0").encode(), 16000)
