"""Recordings and text files on disk, for what reads folders of them."""

import numpy as np

from tests.client.support import encoded

RATE_HZ = 16000
_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG", ".sph": "NIST"}


def record(path, seconds=1.0, **more):
    """A recording of noise, in the format that its name says; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).integers(-3000, 3000, round(seconds * RATE_HZ), np.int16)
    path.write_bytes(encoded(samples, RATE_HZ, _FORMATS[path.suffix.lower()], **more))
    return path


def write(path, *lines):
    """A file of these lines, text or bytes; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    as_bytes = (line if isinstance(line, bytes) else line.encode() for line in lines)
    path.write_bytes(b"".join(line + b"\n" for line in as_bytes))
    return path
