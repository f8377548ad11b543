"""Recordings in, samples out: what a model takes is mono 16-bit PCM at its own sample rate.

Flow, block by block::

    item
      → items         a source, or samples in an array of any library
    source: path, bytes or open file
      → sources       a regular file, within the limits
      → containers    what is it, how many recordings, and are they whole?
      → recording     all of them as one, by
          libsndfile  WAV, FLAC, Ogg, MP3, AIFF, SPHERE …     or
          ffmpeg      anything else, in a process of its own
      → reading       the piece of the clip
      → conversion    mean of the channels or one of them, soxr (resample) → ``int16 [n_samples]``

and ``voice_activity`` finds the speech in them.

Sixteen-bit mono audio at the right rate comes through bit by bit.
"""

from .conversion import Pcm, to_pcm
from .items import AudioItem, is_single, item_name, read_item
from .options import AudioOptions, AudioSource, Clip, RawFormat, Span, Warn
from .reading import length_of, load_audio, read_blocks

__all__ = [
    "AudioItem",
    "AudioOptions",
    "AudioSource",
    "Clip",
    "Pcm",
    "RawFormat",
    "Span",
    "Warn",
    "is_single",
    "item_name",
    "length_of",
    "load_audio",
    "read_blocks",
    "read_item",
    "to_pcm",
]
