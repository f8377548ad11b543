"""Where a file's header places its samples: in chunks, or right after the header.

And what follows the samples that it promises: metadata, samples, or unknown bytes.
"""

import codecs
import os
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import FileIO
from typing import Final

from ..errors import AudioError

_MOST_CHUNKS: Final = 1000
_UNKNOWN_32: Final = 0x7FFF_F000  # what sox, and 0xFFFFFFFF what ffmpeg, writes into a pipe
_UNKNOWN_64: Final = 1 << 62
_SPHERE_HEADER: Final = 4096
_NAME: Final = re.compile(rb"[ -~]{4}")
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


@dataclass(frozen=True)
class Samples:
    """``size`` bytes of samples from ``start`` on, as the header says."""

    start: int
    size: int
    ends: tuple[int, ...]
    """Where the recording may end, and another begin: the first is the samples' own end."""
    size_field: tuple[int, struct.Struct] | None = None
    """Position and layout of the size field, where it may be corrected."""
    extensible: bool = True
    """Whether libsndfile reads beyond the stated size, at least once that is corrected."""

    @property
    def rest(self) -> int:
        """The end of the last chunk that belongs to the recording."""
        return self.ends[-1]

    def corrected(self, size: int) -> tuple[int, bytes] | None:
        """Position and right content of the size field; ``None`` where it is unknown."""
        if self.size_field is None:
            return None
        at, layout = self.size_field
        return at, layout.pack(min(size, (1 << 8 * layout.size) - 2))


def bytes_at(file: FileIO, offset: int, n_bytes: int) -> bytes:
    """Bytes of the file, fewer at its end."""
    return os.pread(file.fileno(), n_bytes, offset) if offset < size_of(file) else b""


def size_of(file: FileIO) -> int:
    """The file's size in bytes."""
    return os.fstat(file.fileno()).st_size


def samples_of(file: FileIO, kind: str, start: int) -> Samples | None:
    """The samples of the recording of that kind at ``start``.

    ``None`` when there are none, or the header does not say how many. Raises ``AudioError``
    for what libsndfile would read wrongly.
    """
    return _LAYOUTS[kind](file, start) if kind in _LAYOUTS else None


@dataclass(frozen=True)
class _Chunks:
    """The layout of a chunked file: each chunk is a header with name and size, then content."""

    header: struct.Struct
    first: int
    samples: bytes
    unknown: int
    align: int = 2
    headers_count: bool = False
    size_field: struct.Struct | None = None
    extensible: bool = True

    def find(self, file: FileIO, start: int) -> Samples | None:
        at = start + self.first
        for _ in range(_MOST_CHUNKS):
            chunk = self._chunk(file, at)
            if chunk is None:
                return None
            name, size = chunk
            at += self.header.size
            if name.startswith(self.samples):
                return self.samples_at(file, at, size) if size < self.unknown else None
            if size < 0:
                return None
            at += self._padded(size)
        raise AudioError(f"has more than {_MOST_CHUNKS} chunks before its samples: export it again")

    def samples_at(self, file: FileIO, at: int, size: int) -> Samples:
        """So many bytes of samples, and the chunks that follow them."""
        layout = self.size_field
        field = None if layout is None else (at - layout.size, layout)
        return Samples(at, size, self._boundaries(file, at, size), field, self.extensible)

    def _boundaries(self, file: FileIO, at: int, size: int) -> tuple[int, ...]:
        """Where the chunk of samples ends, and every whole chunk after it."""
        ends = [at + size]
        at = self._next(file, at, size)
        for _ in range(_MOST_CHUNKS):
            ends.append(at)
            chunk = self._whole_chunk(file, at)
            if chunk is None:
                break
            at = self._next(file, at + self.header.size, chunk)
        return tuple(ends)

    def _next(self, file: FileIO, at: int, size: int) -> int:
        """Where the next chunk begins; some writers omit the padding before it."""
        end = at + size
        return end if self._whole_chunk(file, end) is not None else at + self._padded(size)

    def _whole_chunk(self, file: FileIO, at: int) -> int | None:
        """The size of a complete chunk with an ASCII name; ``None`` where there is none."""
        chunk = self._chunk(file, at)
        if chunk is None or not _NAME.fullmatch(chunk[0][:4]):
            return None
        fits = 0 <= chunk[1] <= size_of(file) - at - self.header.size
        return chunk[1] if fits else None

    def _chunk(self, file: FileIO, at: int) -> tuple[bytes, int] | None:
        header = bytes_at(file, at, self.header.size)
        if len(header) < self.header.size:
            return None
        name, size = self.header.unpack(header)
        return name, size - (self.header.size if self.headers_count else 0)

    def _padded(self, size: int) -> int:
        return size + -size % self.align


_LITTLE: Final = struct.Struct("<I")
_BIG: Final = struct.Struct(">I")
_LONG: Final = struct.Struct("<Q")
_WAV: Final = _Chunks(struct.Struct("<4sI"), 12, b"data", _UNKNOWN_32, size_field=_LITTLE)
_RIFX: Final = _Chunks(struct.Struct(">4sI"), 12, b"data", _UNKNOWN_32, size_field=_BIG)
_RF64: Final = _Chunks(struct.Struct("<4sI"), 12, b"data", unknown=1 << 32)
_W64: Final = _Chunks(struct.Struct("<16sQ"), 40, b"data", _UNKNOWN_64, 8, headers_count=True)
_AIFF: Final = _Chunks(struct.Struct(">4sI"), 12, b"SSND", _UNKNOWN_32, extensible=False)
_CAF: Final = _Chunks(
    struct.Struct(">4sQ"), 8, b"data", _UNKNOWN_64, 1, size_field=struct.Struct(">Q")
)


def _wav(file: FileIO, start: int) -> Samples | None:
    return (_RIFX if bytes_at(file, start, 4) == b"RIFX" else _WAV).find(file, start)


def _rf64(file: FileIO, start: int) -> Samples | None:
    """A WAV file whose sizes exceed 32 bits and have a chunk of their own."""
    header = bytes_at(file, start + 12, 24)
    if len(header) < 24 or header[:4] != b"ds64":
        return None
    n_bytes = int.from_bytes(header[16:], "little")
    samples = _RF64.find(file, start)
    if samples is None or n_bytes >= _UNKNOWN_64:
        return None
    samples = _RF64.samples_at(file, samples.start, n_bytes)
    return replace(samples, size_field=(start + 28, _LONG))


def _au(file: FileIO, start: int) -> Samples | None:
    header = bytes_at(file, start + 4, 8)
    if len(header) < 8:
        return None
    offset, size = struct.unpack(">2I", header)
    first = start + offset
    if size >= _UNKNOWN_32:
        return None
    return Samples(first, size, (first + size,), (start + 8, _BIG))


def _sphere(file: FileIO, start: int) -> Samples | None:
    """The header is lines of ``name -type value``; NIST's SPHERE package describes it."""
    header = bytes_at(file, start, _SPHERE_HEADER).partition(b"end_head")[0]
    if b"embedded-" in header:
        raise AudioError(
            "is SPHERE audio compressed with shorten, expected it uncompressed: convert it with "
            "sph2pipe -f wav"
        )
    fields = dict(re.findall(rb"^(\w+) -\w+ (\d{1,15})$", header, re.MULTILINE))
    offset = re.match(rb"NIST_1A\n *(\d{1,6})\n", header)
    sizes = [fields.get(name) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    if offset is None or None in sizes:
        return None
    n_samples, n_channels, n_bytes = (int(size or 0) for size in sizes)
    first, size = start + int(offset[1]), n_samples * n_channels * n_bytes
    return Samples(first, size, (first + size,))


_LAYOUTS: Final[dict[str, Callable[[FileIO, int], Samples | None]]] = {
    "wav": _wav,
    "rf64": _rf64,
    "w64": _W64.find,
    "aiff": _AIFF.find,
    "au": _au,
    "caf": _CAF.find,
    "sphere": _sphere,
}


def is_metadata(file: FileIO, start: int, end: int) -> bool:
    """Whether these bytes are known to be no audio: a tag, zeros, or too few to matter."""
    if end - start < _TRIFLE_BYTES:
        return True
    at = _first_nonzero(file, start, end)
    return at >= end or _TAGS.match(bytes_at(file, at, 16)) is not None


def looks_like_samples(file: FileIO, start: int, end: int) -> bool:
    """Whether these bytes may be uncompressed samples; text and random bytes are not."""
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
