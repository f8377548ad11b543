"""The piece asked for of a recording, decoded and converted block by block."""

import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from numpy.typing import NDArray

from ..errors import AudioError
from .conversion import NO_SAMPLES, Pcm, chosen, converted, joined
from .options import (
    SLACK_S,
    STRICT,
    AudioOptions,
    AudioSource,
    Clip,
    Warn,
    as_warning,
    check_channel,
    check_format,
)
from .recording import Recording
from .sources import name_of, named_errors, open_source

_END_S: Final = 0.5
_ENDLESS_FRAMES: Final = 1 << 50
_DEFAULTS: Final = AudioOptions()


def load_audio(
    source: AudioSource | Clip,
    sample_rate_hz: int,
    options: AudioOptions = _DEFAULTS,
    warn: Warn = as_warning,
) -> Pcm:
    """Decode a recording to mono PCM, ``int16 [n_samples]`` at ``sample_rate_hz``.

    With ``options.channel`` ``"each"`` it is ``[n_samples, channels]``.

    Reads WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, NIST SPHERE, AU, CAF and W64 through libsndfile,
    and what else ffmpeg reads when that is installed, at any rate and with up to eight channels.
    Raises ``AudioError`` when the source is missing, a directory, empty, no audio, beyond the
    limits of ``options``, or holds no samples or NaN or infinite ones.

    A damaged or truncated recording gives what is there, and ``warn`` is called with what is wrong,
    by default for a Python ``AudioWarning``; with ``options.strict`` it is an
    ``AudioError``. Of several recordings in one file, one after the other, all are read.

    Damage that a format cannot show is not noticed: Ogg, and MP3 without a table of frames, may
    end early; FLAC's header and MP3's table may count too few; samples of PCM may be anything.
    """
    return joined(read_blocks(source, sample_rate_hz, options, warn))


def read_blocks(
    source: AudioSource | Clip,
    sample_rate_hz: int,
    options: AudioOptions = _DEFAULTS,
    warn: Warn = as_warning,
) -> Iterator[Pcm]:
    """What ``load_audio`` gives, in blocks ``int16 [n]`` as they are decoded.

    Needs a few MB however long the recording is. Raises what ``load_audio`` raises, when the
    damage is reached: blocks may have come before.
    """
    clip = source if isinstance(source, Clip) else Clip(source)
    name = name_of(clip.source)
    with (
        named_errors(name),
        open_source(clip.source, options.max_bytes) as file,
        closing(Recording(file, clip, options, lambda said: warn(f"{name}: {said}"))) as recording,
    ):
        check_format(recording.rate_hz, recording.channels)
        check_channel(options.channel, recording.channels)
        frames = _piece(recording, clip, options.max_duration_s)
        blocks = (chosen(block, options.channel) for block in frames)
        yield from filter(len, converted(blocks, recording.rate_hz, sample_rate_hz))


def length_of(source: AudioSource) -> float:
    """Seconds of audio in a recording, decoded only where its header does not tell, and at its end.

    Raises ``AudioError`` as ``load_audio`` does, and for a damaged or truncated recording.
    """
    with (
        named_errors(name_of(source)),
        open_source(source, STRICT.max_bytes) as file,
        closing(Recording(file, Clip(source), STRICT)) as recording,
    ):
        rate_hz = recording.rate_hz
        check_format(rate_hz, recording.channels)
        begin = max(0, (recording.n_frames or 0) - round(_END_S * rate_hz))
        end = _piece(recording, Clip(source, begin / rate_hz), STRICT.max_duration_s)
        return (begin + sum(map(len, end))) / rate_hz


def _piece(recording: Recording, clip: Clip, max_duration_s: float) -> Iterator[NDArray[Any]]:
    """The clip's samples as decoded, ``float32 [n, channels]``."""
    rate_hz, n_frames = recording.rate_hz, recording.n_frames
    if n_frames == 0:
        raise AudioError(NO_SAMPLES)
    start, stop = _bounds(clip, n_frames, rate_hz)
    most = start + math.ceil(max_duration_s * rate_hz)
    if n_frames is not None and stop > most:
        raise too_long((stop - start) / rate_hz, max_duration_s)
    at = recording.seek(start)
    for block in recording.blocks():
        yield block[max(0, start - at) : max(0, stop - at)]
        at += len(block)
        if at >= stop:
            return
        if at > most:
            raise too_long(None, max_duration_s)
    if at == 0:
        raise AudioError(NO_SAMPLES)
    if recording.fault:  # there is a warning that it ends early
        if at <= start:
            raise AudioError(
                f"is damaged or truncated before the piece: {recording.fault}: copy or "
                "record it again"
            )
    elif n_frames is None or at <= start:
        _bounds(clip, at, rate_hz)


def _bounds(clip: Clip, n_frames: int | None, rate_hz: int) -> tuple[int, int]:
    """First and last (exclusive) frame of the clip, which is at least one frame long."""
    total = _ENDLESS_FRAMES if n_frames is None else n_frames
    length_s = total / rate_hz
    stop_s = length_s if clip.duration_s is None else clip.offset_s + clip.duration_s
    # Written so that NaN is refused too.
    inside = 0 <= clip.offset_s < min(stop_s, length_s) and stop_s <= length_s + SLACK_S
    if not inside:
        length = "of unknown length" if n_frames is None else f"{length_s:.2f} s long"
        end = "the end" if clip.duration_s is None else f"{stop_s:.2f} s"
        raise AudioError(
            f"is {length}, the piece goes from {clip.offset_s:.2f} s to {end}: correct "
            "offset and duration"
        )
    start = min(total - 1, round(clip.offset_s * rate_hz))
    return start, min(total, start + max(1, round((stop_s - clip.offset_s) * rate_hz)))


def too_long(length_s: float | None, max_duration_s: float) -> AudioError:
    """The error for a recording beyond the limit, whose length may not be known."""
    length = "longer" if length_s is None else f"{length_s:.1f} s long"
    return AudioError(
        f"is {length}, expected at most {max_duration_s:g} s: cut it, or raise the limit",
        options=("AudioOptions.max_duration_s",),
    )
