"""What kind of file it is, by its first bytes; and whether all is there that its header promises.

libsndfile reads most truncated files without a word, as shorter recordings; and how long an MP3
file is, it guesses. What is not listed here is never shown to libsndfile: it has readers for
rare formats, and each is one more for hostile files to try.
"""

import itertools
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from typing import Final

from client.errors import AudioError

_SIGNATURES: Final = {
    "wav": rb"RIF[FX]....WAVE",
    "rf64": rb"RF64....WAVE",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    "aiff": rb"FORM....AIF[FC]",
    "au": rb"\.snd",
    "caf": rb"caff",
    "flac": rb"fLaC",
    "ogg": rb"OggS",
    "sphere": rb"NIST_1A\n",
    # Layer II or III (I is UTF-16's byte order mark), any version, with a bit rate.
    "mp3": rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\xef]",
}
_MOST_CHUNKS: Final = 1000
_UNKNOWN_32: Final = 0x7FFF_F000  # what sox, and 0xFFFFFFFF what ffmpeg, writes into a pipe
_UNKNOWN_64: Final = 1 << 62
_SPHERE_HEADER: Final = 4096
_OGG_PAGE: Final = re.compile(rb"OggS\0(.).{8}(.{4})", re.DOTALL)
_OGG_PAGE_BYTES: Final = 1 << 16  # at most
_XING_AT_MOST: Final = 64  # within an MPEG frame
_XING_COUNTS: Final = 3  # its flags when it tells frames and bytes


@dataclass(frozen=True)
class Container:
    """A file that libsndfile reads."""

    start: int = 0
    """Where the audio begins: after an ID3 tag."""
    length_known: bool = True
    """Whether the header says how long it is, rather than that libsndfile guesses."""


def container_of(file: FileIO) -> Container | None:
    """What ``file`` is, ``None`` when libsndfile shall not read it.

    Raises :class:`AudioError` when it ends before the samples that its header promises, and for
    what libsndfile would read wrongly.
    """
    start = _end_of_id3(file)
    head = _at(file, start, 40)
    kinds = (kind for kind, pattern in _SIGNATURES.items() if re.match(pattern, head, re.DOTALL))
    kind = next(kinds, None)
    if kind is None:
        return None
    if kind == "mp3":
        return Container(start, length_known=_check_mp3(file, start))
    if kind == "ogg":
        _check_ogg(file)
    if kind in _PROMISES:
        _check_promise(file, _PROMISES[kind](file))
    return Container(start)


def _at(file: FileIO, offset: int, n_bytes: int) -> bytes:
    return os.pread(file.fileno(), n_bytes, offset) if offset < _size(file) else b""


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _end_of_id3(file: FileIO) -> int:
    """Where the tag of MP3 files ends; its size has seven bits a byte."""
    head = _at(file, 0, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return len(head) + size


@dataclass(frozen=True)
class _Promise:
    """``size`` bytes of samples from ``start`` on."""

    start: int
    size: int


def _check_promise(file: FileIO, promise: _Promise | None) -> None:
    if promise is None:
        return
    there = max(0, _size(file) - promise.start)
    if promise.size > there:
        raise AudioError(
            f"is truncated: its header promises {promise.size} bytes of samples, {there} are "
            "there: copy or record it again"
        )


@dataclass(frozen=True)
class _Chunks:
    """How a file is cut into chunks: each a header of its name and size, and then its content."""

    header: struct.Struct
    first: int
    samples: bytes
    unknown: int
    align: int = 2
    headers_count: bool = False

    def promise(self, file: FileIO) -> _Promise | None:
        """What the chunk of samples promises; ``None`` when there is none or it does not say."""
        at = self.first
        for _ in range(_MOST_CHUNKS):
            header = _at(file, at, self.header.size)
            if len(header) < self.header.size:
                return None
            name, size = self.header.unpack(header)
            at += self.header.size
            size -= self.header.size if self.headers_count else 0
            if name.startswith(self.samples):
                return _Promise(at, size) if size < self.unknown else None
            if size < 0:
                return None
            at += size + -size % self.align
        raise AudioError(f"has more than {_MOST_CHUNKS} chunks before its samples: export it again")


_WAV: Final = _Chunks(struct.Struct("<4sI"), 12, b"data", _UNKNOWN_32)
_RIFX: Final = _Chunks(struct.Struct(">4sI"), 12, b"data", _UNKNOWN_32)
_W64: Final = _Chunks(struct.Struct("<16sQ"), 40, b"data", _UNKNOWN_64, 8, headers_count=True)
_AIFF: Final = _Chunks(struct.Struct(">4sI"), 12, b"SSND", _UNKNOWN_32)


def _wav(file: FileIO) -> _Promise | None:
    return (_RIFX if _at(file, 0, 4) == b"RIFX" else _WAV).promise(file)


def _rf64(file: FileIO) -> _Promise | None:
    """A WAV file whose sizes, too large for their places, stand in a chunk of their own."""
    header = _at(file, 12, 24)
    if len(header) < 24 or header[:4] != b"ds64":
        return None
    n_bytes = int.from_bytes(header[16:], "little")
    chunks = _Chunks(_WAV.header, _WAV.first, _WAV.samples, unknown=1 << 32)
    samples = chunks.promise(file)
    return samples and _Promise(samples.start, n_bytes if n_bytes < _UNKNOWN_64 else 0)


def _au(file: FileIO) -> _Promise | None:
    header = _at(file, 4, 8)
    if len(header) < 8:
        return None
    start, size = struct.unpack(">2I", header)
    return _Promise(start, size) if size < _UNKNOWN_32 else None


def _sphere(file: FileIO) -> _Promise | None:
    """The header is lines of ``name -type value``; NIST's SPHERE package describes it."""
    header = _at(file, 0, _SPHERE_HEADER).partition(b"end_head")[0]
    if b"embedded-" in header:
        raise AudioError(
            "is SPHERE audio compressed with shorten, expected it uncompressed: convert it with "
            "sph2pipe -f wav"
        )
    fields = dict(re.findall(rb"^(\w+) -\w+ (\d{1,15})$", header, re.MULTILINE))
    start = re.match(rb"NIST_1A\n *(\d{1,6})\n", header)
    sizes = [fields.get(name) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    if start is None or None in sizes:
        return None
    n_samples, n_channels, n_bytes = (int(size or 0) for size in sizes)
    return _Promise(int(start[1]), n_samples * n_channels * n_bytes)


_PROMISES: Final[dict[str, Callable[[FileIO], _Promise | None]]] = {
    "wav": _wav,
    "rf64": _rf64,
    "w64": _W64.promise,
    "aiff": _AIFF.promise,
    "au": _au,
    "sphere": _sphere,
}


def _check_mp3(file: FileIO, start: int) -> bool:
    """Whether the first frame says how long the file is; raises where it says so wrongly.

    It is a frame of silence with a table, "Xing" or "Info" by its bit rate, then flags, how many
    frames there are, and how many bytes, this frame included.
    """
    head = _at(file, start, _XING_AT_MOST)
    tag = re.search(rb"(?:Xing|Info)(.{12})", head, re.DOTALL)
    if tag is None:
        return False
    flags, n_frames, n_bytes = struct.unpack(">3I", tag[1])
    if flags & _XING_COUNTS != _XING_COUNTS or not n_frames or not n_bytes:
        return False
    _check_promise(file, _Promise(start, n_bytes))
    after = _at(file, start + n_bytes, 3)
    if after == b"ID3" or re.match(_SIGNATURES["mp3"], after):
        raise _several("MP3")
    return True


def _check_ogg(file: FileIO) -> None:
    """Raise when the last page is of a stream that does not begin at the beginning.

    A page is "OggS", version, type (2: a stream begins), position, and its stream's number, in the
    first 18 bytes (RFC 3533). Several streams may also be interleaved; these all begin first.
    """
    first = _at(file, 0, _OGG_PAGE_BYTES)
    last = _at(file, max(0, _size(file) - 2 * _OGG_PAGE_BYTES), 2 * _OGG_PAGE_BYTES)
    begin = itertools.takewhile(lambda page: page[1][0] & 2, _OGG_PAGE.finditer(first))
    streams = {page[2] for page in begin}
    pages = _OGG_PAGE.findall(last)
    if pages and pages[-1][1] not in streams:
        raise _several("Ogg")


def _several(kind: str) -> AudioError:
    return AudioError(
        f"holds several {kind} recordings, one after the other, of which libsndfile reads the "
        "first: join them with ffmpeg"
    )
