"""What a file holds, by its bytes: its recordings, and whether each has all that its header says.

Flow: file → :func:`parts`, most often one → a :class:`Part` each, for a decoder. Files joined with
``cat`` hold several recordings; a decoder reads the first of most kinds, in silence.

libsndfile reads most truncated files without a word, as shorter recordings; and how long an MP3
file is, it guesses. What is not listed here is never shown to libsndfile: it has readers for
rare formats, and each is one more for hostile files to try.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Final

from client.audio.chunks import bytes_at, samples_of, size_of
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
_BEGINNINGS: Final = {
    "flac": rb"fLaC[\x00\x80]\x00\x00\x22",
    "ogg": rb"OggS\x00\x02\x00{8}.{4}\x00{4}",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    "flv": rb"FLV\x01[\x01\x04\x05]\x00\x00\x00\x09",
    "voc": rb"Creative Voice File\x1a",
    "tta": rb"TTA1[\x01\x02]\x00",
}
"""Of kinds that do not say where they end: what only a recording's first bytes are. The page of Ogg
that a stream begins with has type 2 and position and number 0 (RFC 3533)."""
_PATTERNS: Final = {**_BEGINNINGS, **_SIGNATURES}
MP4: Final = "mp4"
_BOX: Final = struct.Struct(">I4s")
_LONG_BOX: Final = struct.Struct(">Q")
_MOST_PARTS: Final = 1000
_SEARCH_BYTES: Final = 1 << 20
_LONGEST_BEGINNING: Final = 64
_XING_AT_MOST: Final = 64  # within an MPEG frame
_XING_COUNTS: Final = 3  # its flags when it tells frames and bytes
_ID3V1_BYTES: Final = 128


@dataclass(frozen=True)
class Part:
    """A recording, in the bytes from ``start`` to ``end`` of its file (see :func:`end_of`)."""

    kind: str
    """What it is, empty when it is nothing that we know."""
    start: int
    end: int
    audio: int
    """Where the audio begins: after an ID3 tag."""
    length_known: bool = True
    """Whether the header says how long it is, rather than that libsndfile guesses."""
    fault: str = ""
    """How the header contradicts what is there; empty where it does not."""
    correction: tuple[int, bytes] | None = None
    """A place of the file and the bytes that belong there, for decoders that trust the header."""

    @property
    def for_libsndfile(self) -> bool:
        """Whether libsndfile shall read it."""
        return self.kind in _SIGNATURES


def parts(file: FileIO) -> Iterator[Part]:
    """The recordings in ``file``, each found when it is asked for; always at least one.

    Raises :class:`AudioError` for what libsndfile would read wrongly, and for too many.
    """
    start, size = 0, size_of(file)
    for _ in range(_MOST_PARTS):
        part = _part(file, start, size)
        yield part
        start = end_of(file, part)
        if start >= size:
            return
    raise AudioError(f"holds more than {_MOST_PARTS} recordings, one after the other: split it")


def end_of(file: FileIO, part: Part) -> int:
    """Where the part ends; in FLAC that takes a search, which most pieces of it can do without."""
    if part.kind != "flac":
        return part.end
    return next(_search(file, _BEGINNINGS[part.kind], part.audio + 1), part.end)


def _part(file: FileIO, start: int, size: int) -> Part:
    audio = _end_of_id3(file, start)
    kind = _kind(bytes_at(file, audio, 40))
    if kind == "mp3":
        return _mp3(file, start, audio, size)
    if kind == "ogg":
        return Part(kind, start, _next_ogg(file, start, size), audio)
    if kind not in _SIGNATURES:
        return Part(kind, start, _end_of_foreign(file, kind, start, size), audio)
    samples = samples_of(file, kind, start)
    if samples is None:
        return Part(kind, start, size, audio)
    there = max(0, size - samples.start)
    if samples.forgotten or samples.size > there:
        fault = _fault(samples.size, there)
        return Part(kind, start, size, audio, fault=fault, correction=samples.corrected(there))
    end = next((at for at in samples.ends if _begins(file, at)), size)
    return Part(kind, start, end, audio)


def _kind(head: bytes) -> str:
    """The kind that begins so, empty when it is none of ours."""
    if head[4:8] == b"ftyp":
        return MP4
    kinds = (kind for kind, pattern in _PATTERNS.items() if re.match(pattern, head, re.DOTALL))
    return next(kinds, "")


def _begins(file: FileIO, at: int) -> bool:
    """Whether a recording begins there; what begins an MP3 file is too short to be sure."""
    return _kind(bytes_at(file, at, 40)) in (_SIGNATURES.keys() - {"mp3"})


def _fault(promised: int, there: int) -> str:
    return f"its header promises {promised} bytes of samples, {there} are there"


def _end_of_id3(file: FileIO, start: int) -> int:
    """Where the tag of MP3 files ends; its size has seven bits a byte."""
    head = bytes_at(file, start, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return start
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return start + len(head) + size


def _mp3(file: FileIO, start: int, audio: int, size: int) -> Part:
    """An MP3 recording, which ends where the table in its first frame says so.

    It is a frame of silence, "Xing" or "Info" by its bit rate, then flags, how many frames there
    are, and how many bytes, this frame included.
    """
    head = bytes_at(file, audio, _XING_AT_MOST)
    tag = re.search(rb"(?:Xing|Info)(.{12})", head, re.DOTALL)
    flags, n_frames, n_bytes = struct.unpack(">3I", tag[1]) if tag else (0, 0, 0)
    if flags & _XING_COUNTS != _XING_COUNTS or not n_frames or not n_bytes:
        return Part("mp3", start, size, audio, length_known=False)
    end = audio + n_bytes
    if bytes_at(file, end, 3) == b"TAG":
        end += _ID3V1_BYTES
    after = bytes_at(file, end, 3)
    another = after == b"ID3" or re.match(_SIGNATURES["mp3"], after)
    fault = _fault(n_bytes, size - audio) if n_bytes > size - audio else ""
    return Part("mp3", start, end if another else size, audio, fault=fault)


def _next_ogg(file: FileIO, start: int, size: int) -> int:
    """Where the next streams begin; those that are interleaved begin page after page."""
    expected = start
    for at in _search(file, _BEGINNINGS["ogg"], start):
        if at != expected:
            return at
        header = bytes_at(file, at, 27 + 255)
        expected = at + 27 + header[26] + sum(header[27 : 27 + header[26]])
    return size


def _end_of_foreign(file: FileIO, kind: str, start: int, size: int) -> int:
    """Where another recording begins in what ffmpeg reads, which reads the first of these kinds."""
    if kind == MP4:
        return _next_mp4(file, start, size)
    if kind in _BEGINNINGS:
        return next(_search(file, _BEGINNINGS[kind], start + 1), size)
    return size


def _next_mp4(file: FileIO, start: int, size: int) -> int:
    """Where the next box "ftyp" is among the outermost; each has its size and kind in front."""
    at = start
    while at < size:
        header = bytes_at(file, at, _BOX.size + _LONG_BOX.size)
        if len(header) < _BOX.size:
            return size
        box_bytes, box = _BOX.unpack_from(header)
        if box == b"ftyp" and at > start:
            return at
        if box_bytes == 1 and len(header) == _BOX.size + _LONG_BOX.size:
            (box_bytes,) = _LONG_BOX.unpack_from(header, _BOX.size)
        if box_bytes < _BOX.size:  # to the end, or damaged
            return size
        at += box_bytes
    return size


def _search(file: FileIO, pattern: bytes, start: int) -> Iterator[int]:
    """Where the pattern is, from ``start`` on: 30 ms for 100 MB that are in memory."""
    compiled = re.compile(pattern, re.DOTALL)
    at = start
    while chunk := os.pread(file.fileno(), _SEARCH_BYTES, at):
        last = len(chunk) < _SEARCH_BYTES
        new = len(chunk) if last else len(chunk) - _LONGEST_BEGINNING
        yield from (at + found.start() for found in compiled.finditer(chunk) if found.start() < new)
        if last:
            return
        at += new
