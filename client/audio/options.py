"""What to read of a recording, how, and how much at most."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from ..errors import AudioError, AudioWarning
from ..utils.shortened import shortened

AudioSource: TypeAlias = Path | str | bytes | bytearray | memoryview | BinaryIO
"""A path, the bytes of a file, or an open binary file; a pipe will do."""

Warn: TypeAlias = Callable[[str], None]
"""Called with what is wrong with a recording that is read all the same."""

MOST_CHANNELS: Final = 8
EACH: Final = "each"
Channel: TypeAlias = int | Literal["each"]
"""Counted from 1, as by sox, sph2pipe and CTM files (Kaldi's programs and NeMo count from 0), or
each channel by itself."""
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
class Span:
    """Where somebody speaks in a recording, in seconds from its start."""

    start_s: float
    end_s: float
    channel: int | None = None
    """Counted from 1; ``None`` for the channel that is read, or the mean of all."""
    speaker: str | None = None

    def __post_init__(self) -> None:
        """Raise ``AudioError`` for what is no time, and for a channel below 1."""
        if not 0 <= self.start_s < self.end_s < math.inf:  # also where one is NaN
            raise AudioError(
                f"the segment goes from {self.start_s} to {self.end_s} s, expected a start of at "
                "least 0 and a later end"
            )
        if self.channel is not None and not 1 <= self.channel <= MOST_CHANNELS:
            raise AudioError(
                f"the channel is {self.channel}, expected 1 to {MOST_CHANNELS}: they count from 1"
            )


@dataclass(frozen=True, repr=False)
class Clip:
    """A piece of a recording: from ``offset_s`` on, ``duration_s`` long (``None``: to the end)."""

    source: AudioSource
    offset_s: float = 0.0
    duration_s: float | None = None
    segments: tuple[Span, ...] | None = None
    """The parts to transcribe, each by itself; times are the piece's. ``None`` if none are known:
    then ``SegmentationOptions`` decide."""

    def __repr__(self) -> str:
        source = shortened(self.source)
        named = repr(source) if isinstance(self.source, (str, Path)) else source
        return f"Clip({named}, offset_s={self.offset_s}, duration_s={self.duration_s})"


@dataclass(frozen=True)
class RawFormat:
    """The format of headerless audio, which is stated nowhere in it."""

    rate_hz: int
    channels: int = 1
    encoding: str = "s16le"
    """A key of ``ENCODINGS``."""

    def __post_init__(self) -> None:
        """Raise ``AudioError`` for a format that cannot be read."""
        check_format(self.rate_hz, self.channels)
        if self.encoding not in ENCODINGS:
            raise AudioError(
                f"the encoding is {shortened(repr(self.encoding))}, expected one of "
                f"{', '.join(ENCODINGS)}"
            )


@dataclass(frozen=True)
class AudioOptions:
    """How to read recordings, and the largest ones accepted."""

    channel: Channel | None = None
    """The one channel to take, or ``"each"``; ``None`` for the mean of all."""
    raw: RawFormat | None = None
    """Sources are headerless audio of this format; ``None`` for files that say what they are."""
    strict: bool = False
    """Reject a damaged or truncated recording, instead of reading what is intact and warning."""
    max_bytes: int = 4 << 30
    """The largest source, by its size as a file: 4 GiB, which is also the largest WAV file. Bytes
    and open files are copied to a temporary file of up to this size."""
    max_duration_s: float = 6 * 3600
    """The longest recording or piece. ``load_audio`` holds it in memory: 0.7 GB for six hours at
    16 kHz."""

    def __post_init__(self) -> None:
        """Raise ``AudioError`` for options that no recording could meet."""
        chosen = self.channel
        known = isinstance(chosen, int) and 1 <= chosen <= MOST_CHANNELS
        if not (known or chosen in (None, EACH)):
            raise AudioError(
                f"the channel is {chosen!r}, expected 1 to {MOST_CHANNELS} or {EACH!r}: they count "
                "from 1",
                options=("AudioOptions.channel",),
            )
        if not (self.max_bytes >= 1 and self.max_duration_s > 0):
            raise AudioError(
                f"max_bytes is {self.max_bytes} and max_duration_s {self.max_duration_s}, expected "
                "both to be above 0"
            )


STRICT: Final = AudioOptions(strict=True)
"""For recordings with a reference, which does not fit half a recording."""

SLACK_S: Final = 0.1
"""How far a piece may reach beyond the end: durations in manifests are rounded."""


def check_format(rate_hz: int, channels: int) -> None:
    """Raise ``AudioError`` for a sample rate or channels that no recording of speech has."""
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise AudioError(f"the sample rate is {rate_hz} Hz, expected {low} to {high}: damaged?")
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"it has {channels} channels, expected 1 to {MOST_CHANNELS}: split it, if not damaged"
        )


def check_channel(channel: Channel | None, channels: int) -> None:
    """Raise ``AudioError`` when a recording of so many channels lacks the one asked for."""
    if isinstance(channel, int) and channel > channels:
        raise AudioError(
            f"has {channels} channels, expected at least {channel}: choose one that is there",
            options=("AudioOptions.channel",),
        )


def as_warning(said: str) -> None:
    """Warn as Python does."""
    warnings.warn(said, AudioWarning, stacklevel=2)
