"""The recordings in a file, found by their bytes, and whether each has what its header promises.

Flow: file → ``parts``, most often one → a ``Part`` each, for a reader. Files joined with
``cat`` hold several recordings, of which libsndfile and ffmpeg mostly read the first, silently.

libsndfile also silently reads truncated files as shorter recordings, and guesses the length of MP3
files. It gets only the formats listed here: each of its readers for rare formats would be one more
target for hostile files.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from typing import Final

from ..errors import AudioError
from .chunks import Samples, bytes_at, is_metadata, looks_like_samples, samples_of, size_of

MP4: Final = "mp4"
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
    **{kind: _SIGNATURES[kind] for kind in ("wav", "rf64", "w64", "aiff", "sphere")},
    "au": rb"\.snd\x00\x00.{6}\x00{3}[\x01-\x1b]\x00[\x00-\x0f]..\x00{3}[\x01-\x08]",
    "caf": rb"caff\x00\x01\x00\x00desc",
    "flac": rb"fLaC[\x00\x80]\x00\x00\x22",
    "ogg": rb"OggS\x00\x02\x00{8}.{4}\x00{4}",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    "flv": rb"FLV\x01[\x01\x04\x05]\x00\x00\x00\x09",
    "voc": rb"Creative Voice File\x1a",
    "tta": rb"TTA1[\x01\x02]\x00",
    "matroska": rb"\x1a\x45\xdf\xa3.{1,40}?\x42\x82.(?:webm|matroska)",
    "mp3": _SIGNATURES["mp3"] + rb".(?:.{9}|.{17}|.{32})(?:Xing|Info)\x00{3}[\x01-\x0f]",
}
"""Patterns that only the beginning of a recording matches, at any position. The page of Ogg that a
stream begins with has type 2 and position and number 0 (RFC 3533)."""
_PATTERNS: Final = {
    kind: re.compile(pattern, re.DOTALL) for kind, pattern in (_BEGINNINGS | _SIGNATURES).items()
}
_SEARCHED: Final = {
    **dict.fromkeys((re.compile(each, re.DOTALL) for each in _BEGINNINGS.values()), 0),
    re.compile(rb"ftyp(?<=\x00{3}[\x08-\xff]ftyp)"): 4,
}
"""Patterns to search for → their distance from the recording's beginning. Each begins with fixed
bytes, which makes the search fast."""
_ENDLESS: Final = ("asf", "flv", "voc", "tta", "matroska")
"""Kinds read by ffmpeg that do not state where they end."""
_EMBEDDED_FLAC: Final = re.compile(rb"\x7fFLAC.{4}fLaC|\x63\xa2.{1,8}fLaC", re.DOTALL)
"""The header of a FLAC stream within Ogg, and within Matroska."""
_BOX: Final = struct.Struct(">I4s")
_LONG_BOX: Final = struct.Struct(">Q")
_MOST_PARTS: Final = 1000
_SEARCH_BYTES: Final = 1 << 20
_LONGEST_BEGINNING: Final = 64
_MOST_BLOCKS: Final = 1000
_XING: Final = re.compile(rb"(?:Xing|Info)(\x00{3}[\x00-\x0f].{8})", re.DOTALL)
_XING_COUNTS: Final = 3  # its flags when it tells frames and bytes
_ID3V1_BYTES: Final = 128


@dataclass(frozen=True)
class Part:
    """A recording, in the bytes from ``start`` to ``end`` of its file (see ``end_of``)."""

    kind: str
    """Its format; empty if unknown."""
    start: int
    end: int
    audio: int
    """Where the audio begins: after an ID3 tag."""
    length_known: bool = True
    """Whether the header states the length; otherwise libsndfile guesses it."""
    fault: str = ""
    """How the header contradicts the file; empty where it does not."""
    gap: int = 0
    """Bytes after its end that belong to no recording."""
    correction: tuple[int, bytes] | None = None
    """A position in the file and the right bytes there, for readers that trust the header."""

    @property
    def for_libsndfile(self) -> bool:
        """Whether libsndfile reads it, rather than ffmpeg."""
        return self.kind in _SIGNATURES


def parts(file: FileIO) -> Iterator[Part]:
    """The recordings in ``file``, each found when it is asked for; always at least one.

    Raises ``AudioError`` for what libsndfile would read wrongly, and for too many.
    """
    start, size = 0, size_of(file)
    for _ in range(_MOST_PARTS):
        part = _part(file, start, size)
        yield part
        start = end_of(file, part) + part.gap
        if start >= size:
            return
    raise AudioError(f"holds more than {_MOST_PARTS} recordings, one after the other: split it")


def end_of(file: FileIO, part: Part) -> int:
    """Where the part ends; for FLAC this takes a search, done only where the end is needed."""
    if part.kind != "flac":
        return part.end
    return _next_beginning(file, _frames_of_flac(file, part.audio), part.end)


def _part(file: FileIO, start: int, size: int) -> Part:
    audio = _end_of_id3(file, start)
    kind = _kind(bytes_at(file, audio, _LONGEST_BEGINNING))
    if kind == "mp3":
        return _mp3(file, start, audio, size)
    if kind == "ogg":
        return Part(kind, audio, _next_ogg(file, audio, size), audio)
    if kind not in _SIGNATURES:
        return Part(kind, start, _end_of_foreign(file, kind, start, size), audio)
    part = Part(kind, audio, size, audio)  # behind such a tag libsndfile leaves out as much
    samples = samples_of(file, kind, audio)
    return part if samples is None else _sized(file, part, samples)


def _sized(file: FileIO, part: Part, samples: Samples) -> Part:
    """The part with the end on which its header and the bytes after it agree."""
    end = next((at for at in samples.ends if _begins(file, at)), None)
    if end is not None or samples.ends[0] <= part.end <= samples.rest:
        return replace(part, end=end or part.end)
    end = _next_beginning(file, samples.start, part.end)
    there, more = max(0, end - samples.start), end - samples.rest
    if samples.size <= there:
        if is_metadata(file, samples.rest, end):
            return replace(part, end=end)
        if not _continues(file, samples, end):
            fault = (
                f"its header promises {samples.size} bytes of samples, and {more} of unknown "
                "content follow, which are left out"
            )
            return replace(part, end=samples.rest, fault=fault, gap=more)
    fault, correction = _fault(samples.size, there), samples.corrected(there)
    return replace(part, end=end, fault=fault, correction=correction)


def _continues(file: FileIO, samples: Samples, end: int) -> bool:
    """Whether the bytes after the promised samples are samples too; others would be noise."""
    if samples.size == 0:  # a recorder writes it in the end
        return True
    follows = samples.rest == samples.ends[0] and samples.extensible
    return follows and looks_like_samples(file, samples.rest, end)


def _kind(head: bytes) -> str:
    """The format that begins with these bytes; empty if unknown."""
    if head[4:8] == b"ftyp":
        return MP4
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.match(head)), "")


def _begins(file: FileIO, at: int) -> bool:
    """Whether a recording begins there; an MP3 counts only with a tag or a table of frames."""
    audio = _end_of_id3(file, at)
    head = bytes_at(file, audio, _LONGEST_BEGINNING)
    kind = _kind(head)
    return kind != "" if kind != "mp3" else audio > at or _XING.search(head) is not None


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
    tag = _XING.search(bytes_at(file, audio, _LONGEST_BEGINNING))
    flags, n_frames, n_bytes = struct.unpack(">3I", tag[1]) if tag else (0, 0, 0)
    if flags & _XING_COUNTS != _XING_COUNTS or not n_frames or not n_bytes:
        end = _next_beginning(file, audio + 1, size)
        return Part("mp3", start, end, audio, length_known=False)
    end = audio + n_bytes
    if bytes_at(file, end, 3) == b"TAG":
        end += _ID3V1_BYTES
    after = bytes_at(file, end, 3)
    another = after == b"ID3" or _PATTERNS["mp3"].match(after)
    fault = ""
    if not another:
        end = size if end == size else _next_beginning(file, audio + 1, size)
        fault = _fault(n_bytes, end - audio) if n_bytes > end - audio else ""
    return Part("mp3", start, end, audio, fault=fault)


def _frames_of_flac(file: FileIO, audio: int) -> int:
    """Where the metadata ends, which may hold the header of the WAV file that it was made of."""
    at = audio + 4
    for _ in range(_MOST_BLOCKS):
        header = bytes_at(file, at, 4)
        at += 4 + int.from_bytes(header[1:], "big")
        if not header or header[0] & 0x80:
            break
    return at


def _next_ogg(file: FileIO, start: int, size: int) -> int:
    """Where the next recording begins; streams that are interleaved begin page after page."""
    expected = start
    for at in _beginnings(file, start):
        header = bytes_at(file, at, 27 + 255)
        if at == expected:
            expected = at + 27 + header[26] + sum(header[27 : 27 + header[26]])
        else:
            return at
    return size


def _end_of_foreign(file: FileIO, kind: str, start: int, size: int) -> int:
    """Where another recording begins in what ffmpeg reads, which reads the first of these kinds."""
    if kind == MP4:
        return _next_mp4(file, start, size)
    return _next_beginning(file, start + 1, size) if kind in _ENDLESS else size


def _next_mp4(file: FileIO, start: int, size: int) -> int:
    """Where another recording begins after one of the outermost boxes, whose sizes are in front."""
    at = start
    while at < size:
        header = bytes_at(file, at, _BOX.size + _LONG_BOX.size)
        if len(header) < _BOX.size:
            return size
        box_bytes, _ = _BOX.unpack_from(header)
        if at > start and _begins(file, at):
            return at
        if box_bytes == 1 and len(header) == _BOX.size + _LONG_BOX.size:
            (box_bytes,) = _LONG_BOX.unpack_from(header, _BOX.size)
        if box_bytes < _BOX.size:  # to the end, or damaged
            return size
        at += box_bytes
    return size


def _next_beginning(file: FileIO, start: int, size: int) -> int:
    """Where the next recording begins from ``start`` on; ``size`` if none does."""
    return next(_beginnings(file, start), size)


def _beginnings(file: FileIO, start: int) -> Iterator[int]:
    """Where recordings begin, from ``start`` on: half a second for 100 MB that are in memory."""
    at = start
    while chunk := bytes_at(file, at, _SEARCH_BYTES):
        last = len(chunk) < _SEARCH_BYTES
        new = len(chunk) if last else len(chunk) - _LONGEST_BEGINNING
        found = (
            match.start() - behind
            for pattern, behind in _SEARCHED.items()
            for match in pattern.finditer(chunk)
        )
        places = (at + place for place in sorted(found) if place < new)
        yield from (place for place in places if not _is_embedded(file, place))
        if last:
            return
        at += new


def _is_embedded(file: FileIO, at: int) -> bool:
    before = bytes_at(file, max(0, at - 10), min(at, 10) + 4)
    return _EMBEDDED_FLAC.search(before) is not None
