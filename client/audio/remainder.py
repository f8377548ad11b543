"""What follows the samples that a header promises: metadata, more samples, or nobody knows what."""

import codecs
import re
import zlib
from io import FileIO
from typing import Final

from .chunks import bytes_at

_TRIFLE_BYTES: Final = 256
"""Too little to hold speech: 16 ms of telephone audio."""
_READ_BYTES: Final = 1 << 20
_JUDGED_BYTES: Final = 1 << 16
_COMPRESSED: Final = 0.98
"""Deflate leaves random bytes as they are; of speech in PCM or µ-law it made 0.96 at most (199
recordings of three corpora)."""
_TAGS: Final = re.compile(
    # Tags of other formats that taggers append, and chunks that are cut off.
    rb"ID3|TAG|3DI|APETAGEX|LYRICSBEGIN|LIST|id3 |bext|cue |fact|JUNK|junk|PAD |PEAK|smpl|inst|iXML"
    rb"|axml|_PMX|cart|DISP|LGWV|NAME|AUTH|ANNO|COMT|MARK|INST|MIDI|APPL|free|info|peak|mark|uuid"
)


def is_metadata(file: FileIO, start: int, end: int) -> bool:
    """Whether these bytes are known to be no audio: a tag, zeros, or too few to matter."""
    if end - start < _TRIFLE_BYTES:
        return True
    at = _first_nonzero(file, start, end)
    return at >= end or _TAGS.match(bytes_at(file, at, 16)) is not None


def looks_like_samples(file: FileIO, start: int, end: int) -> bool:
    """Whether these bytes may be samples that are not compressed: text and random bytes are not."""
    at = _first_nonzero(file, start, end)
    data = bytes_at(file, at, min(_JUDGED_BYTES, end - at))
    return not _is_text(data) and len(zlib.compress(data)) < _COMPRESSED * len(data)


def _first_nonzero(file: FileIO, start: int, end: int) -> int:
    while start < end:
        chunk = bytes_at(file, start, min(_READ_BYTES, end - start))
        if rest := chunk.lstrip(b"\0"):
            return start + len(chunk) - len(rest)
        start += len(chunk) or end
    return end


def _is_text(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True
