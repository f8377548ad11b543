"""Arguments for recordings: which channel, headerless or damaged audio, how long ones are cut."""

import argparse
from argparse import ArgumentParser, Namespace

from ..audio import AudioOptions, RawFormat
from ..errors import AudioError
from ..long_audio import LongAudioOptions


def add_recordings(parser: ArgumentParser) -> None:
    """How recordings are read; ``audio_options`` and ``long_audio_options`` read them."""
    group = parser.add_argument_group("recordings")
    group.add_argument(
        "--channel", type=int, metavar="N", help="take this channel, from 1 (default: their mean)"
    )
    group.add_argument(
        "--raw",
        type=_raw_format,
        metavar="HZ[:CHANNELS[:ENCODING]]",
        help="recordings are headerless audio, as in 8000:1:mulaw (default 1 channel, s16le)",
    )
    group.add_argument(
        "--strict-audio",
        action="store_true",
        help="refuse damaged and truncated recordings (default: read what is there, and warn)",
    )
    group.add_argument(
        "--max-duration",
        type=float,
        default=AudioOptions.max_duration_s,
        metavar="S",
        help="refuse longer recordings (default %(default)g s)",
    )
    default = LongAudioOptions()
    group.add_argument(
        "--window",
        type=float,
        default=default.window_s,
        metavar="S",
        help="cut longer recordings into windows of S seconds (default: into 30 s those that the "
        "model does not take whole)",
    )
    group.add_argument(
        "--overlap",
        type=float,
        default=default.overlap_s,
        metavar="S",
        help="what neighbouring windows share (default %(default)g s)",
    )


def audio_options(args: Namespace) -> AudioOptions:
    """How to read the recordings; raises ``AudioError`` for options that make no sense."""
    return AudioOptions(
        channel=args.channel,
        raw=args.raw,
        strict=args.strict_audio,
        max_duration_s=args.max_duration,
    )


def long_audio_options(args: Namespace) -> LongAudioOptions:
    """How long ones are cut; raises ``AudioError`` for windows that cannot be."""
    try:
        return LongAudioOptions(args.window, args.overlap)
    except ValueError as error:
        raise AudioError(f"--window, --overlap: {error}") from error


def _raw_format(text: str) -> RawFormat:
    rate, *more = text.split(":")
    try:
        channels = int(more[0]) if more else RawFormat.channels
        return RawFormat(int(rate), channels, *more[1:])
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no format, expected HZ[:CHANNELS[:ENCODING]] as in 16000:1:s16le"
        ) from error
    except AudioError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
