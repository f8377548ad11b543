"""A valid recording in every format that can be made here, and what hides or needs ffmpeg."""

import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests.client.support import encoded

RATE_HZ = 16000
SECONDS = np.arange(RATE_HZ) / RATE_HZ
PCM = np.rint(16384 * np.sin(2 * np.pi * 1000 * SECONDS)).astype(np.int16)  # a tone

BY_LIBSNDFILE = """
    WAV/PCM_U8 WAV/PCM_16 WAV/PCM_24 WAV/PCM_32 WAV/FLOAT WAV/DOUBLE WAV/ULAW WAV/ALAW WAV/IMA_ADPCM
    WAV/MS_ADPCM WAV/GSM610 WAVEX/PCM_24 RF64/PCM_16 W64/PCM_16 AU/PCM_16 AU/FLOAT AIFF/PCM_16
    AIFF/ULAW AIFF/FLOAT CAF/PCM_16 CAF/ALAC_16 NIST/PCM_16 NIST/ULAW FLAC/PCM_16 FLAC/PCM_24
    OGG/VORBIS OGG/OPUS MP3/MPEG_LAYER_III
""".split()

BY_FFMPEG = {
    "mp4": ("-f", "mp4"),
    "fragmented mp4": ("-f", "mp4", "-movflags", "frag_keyframe+empty_moov"),
    "webm": ("-f", "webm"),
    "matroska": ("-f", "matroska", "-c:a", "flac"),
    "wma": ("-f", "asf"),
    "adts": ("-f", "adts"),
    "mpegts": ("-f", "mpegts", "-c:a", "aac"),
    "avi": ("-f", "avi"),
    "ac3": ("-f", "ac3"),
    "wavpack": ("-f", "wv"),
    "ogg flac": ("-f", "ogg", "-c:a", "flac"),
    "ogg speex": ("-f", "ogg", "-c:a", "libspeex"),
}
"""What libsndfile does not read: ffmpeg's arguments for it."""

MP3_WITHOUT_TABLE = ("-f", "mp3", "-write_xing", "0", "-q:a", "5")


@functools.cache
def by_libsndfile(name: str) -> bytes:
    """The tone in a format of ``BY_LIBSNDFILE``."""
    kind, subtype = name.split("/")
    samples = PCM / 32768 if subtype in {"FLOAT", "DOUBLE"} else PCM
    return encoded(samples, kind=kind, subtype=subtype)


@functools.cache
def by_ffmpeg(*arguments: str, wav: bytes | None = None) -> bytes:
    """The tone, or another recording, as ffmpeg writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audio"
        command = ["ffmpeg", "-v", "error", "-i", "-", *arguments, str(file)]
        subprocess.run(command, input=wav or by_libsndfile("WAV/PCM_16"), check=True)
        return file.read_bytes()


def sphere(samples: np.ndarray, *fields: str) -> bytes:
    """NIST SPHERE as the corpora have it: big-endian, ``int16 [n]`` or ``[n, channels]``."""
    lines = [
        "NIST_1A",
        "   1024",
        f"channel_count -i {samples[0].size}",
        f"sample_count -i {len(samples)}",
        f"sample_rate -i {RATE_HZ}",
        "sample_n_bytes -i 2",
        "sample_byte_format -s2 10",
        "sample_sig_bits -i 16",
        *(fields or ("sample_coding -s3 pcm",)),
        "end_head\n",
    ]
    return "\n".join(lines).encode().ljust(1024) + samples.astype(">i2").tobytes()


def peak_bytes() -> int:
    """The most memory that this process has held at once since ``reset_peak``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def reset_peak() -> int:
    """Forget what was held; gives what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()
