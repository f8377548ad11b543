"""What to read of a recording, how, and how much at most."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from ..errors import AudioError, AudioWarning

AudioSource: TypeAlias = Path | str | bytes | BinaryIO
"""A path, a file's bytes, or an open binary file, which need not be able to seek (a pipe)."""

Warn: TypeAlias = Callable[[str], None]
"""Told what is wrong with a recording that is read all the same."""

MOST_CHANNELS: Final = 8
RATES_HZ: Final = (1_000, 1_000_000)  # outside is a damaged header; resampling it fills memory

ENCODINGS: Final = {
    "s8": ("PCM_S8", "FILE"),
    "u8": ("PCM_U8", "FILE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "FILE"),
    "alaw": ("ALAW", "FILE"),
}
"""Encodings of headerless audio under ffmpeg's names → libsndfile's subtype and byte order."""


@dataclass(frozen=True)
class Clip:
    """A piece of a recording: from ``offset_s`` on, ``duration_s`` long (``None``: to the end)."""

    source: AudioSource
    offset_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class RawFormat:
    """What headerless audio does not say of itself."""

    rate_hz: int
    channels: int = 1
    encoding: str = "s16le"
    """A key of ``ENCODINGS``."""

    def __post_init__(self) -> None:
        """Raise ``AudioError`` when nothing could be read so."""
        check_format(self.rate_hz, self.channels)
        if self.encoding not in ENCODINGS:
            raise AudioError(
                f"the encoding is {self.encoding!r}, expected one of {', '.join(ENCODINGS)}"
            )


@dataclass(frozen=True)
class AudioOptions:
    """How to read recordings, and what is too much of one."""

    channel: int | None = None
    """The one channel to take, counted from 1 as by sox, sph2pipe and CTM files (Kaldi's programs
    and NeMo count from 0); ``None`` for the mean of all."""
    raw: RawFormat | None = None
    """Sources are headerless audio of this format; ``None`` for files that say what they are."""
    strict: bool = False
    """Refuse a damaged or truncated recording, rather than read what is there and warn."""
    max_bytes: int = 4 << 30
    """The largest source, by its size as a file: 4 GiB, which is also the largest WAV file. One
    without a name (a pipe, bytes) is copied to a temporary file of up to this size."""
    max_duration_s: float = 6 * 3600
    """The most audio of one recording or piece. ``load_audio`` holds it in
    memory: 0.7 GB for six hours at 16 kHz."""

    def __post_init__(self) -> None:
        """Raise ``AudioError`` when nothing could be read so."""
        if self.channel is not None and not 1 <= self.channel <= MOST_CHANNELS:
            raise AudioError(
                f"the channel is {self.channel}, expected 1 to {MOST_CHANNELS}: they count from 1"
            )
        if not (self.max_bytes >= 1 and self.max_duration_s > 0):
            raise AudioError(
                f"max_bytes is {self.max_bytes} and max_duration_s {self.max_duration_s}, expected "
                "both to be above 0"
            )


STRICT: Final = AudioOptions(strict=True)
"""For what goes with a text, which half a recording does not fit."""

SLACK_S: Final = 0.1
"""How far a piece may reach beyond the end: manifests round durations."""


def check_format(rate_hz: int, channels: int) -> None:
    """Raise ``AudioError`` for a sample rate or channels that no recording of speech has."""
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise AudioError(f"the sample rate is {rate_hz} Hz, expected {low} to {high}: damaged?")
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"it has {channels} channels, expected 1 to {MOST_CHANNELS}: split it, if not damaged"
        )


def as_warning(said: str) -> None:
    """Warn as Python does."""
    warnings.warn(said, AudioWarning, stacklevel=2)
