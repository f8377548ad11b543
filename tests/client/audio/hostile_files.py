"""Hostile audio files by seed, and a process that reads them, for a decoder may crash.

``python -m tests.client.audio.hostile_files FIRST LAST`` reads those of the seeds from ``FIRST`` to
``LAST`` (exclusive).
"""

import functools
import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from client.audio import AudioOptions, Clip, load_audio
from client.errors import AudioError
from tests.client.audio.audio_files import (
    BY_FFMPEG,
    BY_LIBSNDFILE,
    MP3_WITHOUT_TABLE,
    PCM,
    by_ffmpeg,
    by_libsndfile,
    peak_bytes,
    sphere,
)
from tests.client.support import encoded

OPTIONS = AudioOptions(max_duration_s=120)
"""What the models of this project take."""

ADDRESS_SPACE_BYTES = 1 << 30
"""What the reading process may map beyond what it has at the beginning."""

FFMPEG_EVERY = 5
"""Of how many files one may be read by ffmpeg: a process takes longer than all the rest."""


@functools.cache
def valid_files() -> dict[str, bytes]:
    """A recording in every format that can be made here."""
    files = {name: by_libsndfile(name) for name in BY_LIBSNDFILE}
    files["WAV/PCM_16 stereo"] = encoded(np.stack([PCM, -PCM], axis=1))
    files["SPHERE"] = sphere(PCM)
    files |= {name: by_ffmpeg(*arguments) for name, arguments in BY_FFMPEG.items()}
    files["MP3 without table"] = by_ffmpeg(*MP3_WITHOUT_TABLE)
    return files


def mutated(seed: int) -> tuple[str, bytes]:
    """A hostile file: a valid one, damaged in one to three ways."""
    random = np.random.default_rng(seed)
    files = list(valid_files().items())
    name, data = files[seed % len(files)]
    for _ in range(random.integers(1, 4)):
        mutation = MUTATION_KINDS[random.integers(len(MUTATION_KINDS))]
        data = bytes(mutation(bytearray(data), random))
    return name, data


def flip_bits(data, random):
    for _ in range(random.integers(1, 30)):
        if data:
            data[random.integers(len(data))] ^= 1 << random.integers(8)
    return data


def truncate(data, random):
    return data[: random.integers(len(data) + 1)]


def forge_header(data, random):
    """Put an extreme number somewhere into the first hundred bytes."""
    width = int(random.choice([1, 2, 4, 8]))
    values = [0, 1, 2**7, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1]
    value = int(values[random.integers(len(values))]) % 2 ** (8 * width)
    at = random.integers(min(100, len(data)) + 1)
    data[at : at + width] = value.to_bytes(width, random.choice(["little", "big"]))
    return data


def splice(data, random):
    """Put a piece of another file into the middle."""
    others = list(valid_files().values())
    other = others[random.integers(len(others))]
    start = random.integers(len(other))
    at = random.integers(len(data) + 1)
    return data[:at] + other[start : start + random.integers(1, 2000)] + data[at:]


def zero(data, random):
    at = random.integers(len(data) + 1)
    length = min(int(random.integers(1, 500)), len(data) - at)
    data[at : at + length] = bytes(length)
    return data


def duplicate(data, random):
    at = random.integers(len(data) + 1)
    return data[:at] + data[max(0, at - random.integers(1, 2000)) :]


MUTATION_KINDS = (flip_bits, truncate, forge_header, splice, zero, duplicate)


def read_hostile(first: int, last: int) -> None:
    """Read the files of these seeds; prints a line of JSON before and one after each."""
    valid_files()
    path = os.environ["PATH"]
    before = peak_bytes()
    limit = address_space_bytes() + ADDRESS_SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    for seed in range(first, last):
        name, data = mutated(seed)
        os.environ["PATH"] = "" if seed % FFMPEG_EVERY else path
        clip = Clip(data, *[(0.0, None), (0.05, 0.1), (0.02, None)][seed % 3])
        say({"seed": seed, "name": name})
        begun = time.monotonic()
        outcome = outcome_of(clip, replace(OPTIONS, strict=seed % 2 == 0))
        seconds = time.monotonic() - begun
        say({"outcome": outcome, "seconds": seconds, "extra_bytes": peak_bytes() - before})


def say(record: dict) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def address_space_bytes() -> int:
    pages, *_ = Path("/proc/self/statm").read_text().split()
    return int(pages) * resource.getpagesize()


def outcome_of(clip: Clip, options: AudioOptions) -> str:
    try:
        samples = load_audio(clip, 16000, options, warn=lambda _: None)
    except AudioError as error:
        return f"AudioError: {error}"
    return f"{samples.dtype} [{len(samples)}]"


if __name__ == "__main__":
    read_hostile(int(sys.argv[1]), int(sys.argv[2]))
