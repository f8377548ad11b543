"""Decoding by ``ffmpeg``, in a process of its own: MP4, WebM, AMR and other formats.

It gets the file's descriptor and no name, may open no other file and no address, and reads only
the containers listed here: playlists and scripts, which name other files, are not among them.
"""

import re
import resource
import select
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from time import monotonic
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError
from .chunks import size_of
from .containers import MP4, Part, end_of
from .libsndfile import DamagedError

_CONTAINERS: Final = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,nistsphere,ogg,oma,rm,tak,tta,voc,w64,wav,wv"
)
_ARGUMENTS: Final = (
    *("-nostdin", "-hide_banner", "-loglevel", "error"),
    *("-protocol_whitelist", "file,subfile", "-format_whitelist", _CONTAINERS),
    *("-threads", "1", "-vn", "-sn", "-dn"),
)
_FILE: Final = "file:/dev/fd/0"
_OUTPUT: Final = (
    *("-map", "0:a:0", "-map_metadata", "-1", "-bitexact"),
    *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),  # AU: the simplest header with rate and channels
)
_MEMORY_BYTES: Final = 1 << 30
_STALL_S: Final = 60.0
"""ffmpeg is stopped after this time without output: on a busy machine it starts slowly."""
_RUN_UP_S: Final = 2
"""Decoded before a piece and discarded: codecs need some preceding frames to be exact."""
_READ_BYTES: Final = 1 << 16
_COMPLAINT_BYTES: Final = 1 << 12
_AU: Final = struct.Struct(">4s5I")
_SAMPLE: Final = np.dtype(">f4")


class FfmpegReader:
    """A reader, as ``SndfileReader``, of what ffmpeg decodes.

    ``reason`` is why libsndfile does not read the file. Samples before ``start_s`` may be skipped,
    as ``seek`` tells. Where ffmpeg finds damage it continues, or stops if ``strict``; either way
    ``blocks`` raises ``DamagedError`` in the end. Raises ``AudioError`` when ffmpeg is not
    installed or cannot read it either.
    """

    n_frames: int | None = None
    """Unknown until the end."""

    def __init__(
        self, file: FileIO, part: Part, reason: str, *, start_s: float = 0.0, strict: bool = False
    ) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise AudioError(
                f"is damaged, truncated or not audio in a format that libsndfile reads ({reason}), "
                "and ffmpeg, which reads most others, is not installed: install ffmpeg, or "
                "convert it to WAV"
            )
        self._command = [program, *_ARGUMENTS, *(["-xerror"] if strict else [])]
        self._input = ["-i", _source(file, part), *_OUTPUT]
        # Elsewhere time stamps are rounded, or found by guessing, and a piece would be shifted.
        skipped_s = max(0, int(start_s) - _RUN_UP_S) if part.kind == MP4 else 0
        try:
            self._start(file, skipped_s)
        except AudioError:
            if not skipped_s:
                raise
            self._start(file, 0)  # the piece may be beyond the end: where that is has to be found

    def _start(self, file: FileIO, skipped_s: int) -> None:
        self._complaints = b""
        file.seek(0)
        self._process = subprocess.Popen(
            [*self._command, *(["-ss", str(skipped_s)] if skipped_s else []), *self._input],
            bufsize=0,
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._audio = cast("FileIO", self._process.stdout)
        self._errors = cast("FileIO", self._process.stderr)
        try:
            _limit_memory(self._process.pid)
            self.rate_hz, self.channels = self._header()
            self._begun = self._read_exactly(1)
        except BaseException:
            self.close()
            raise
        self._skipped = skipped_s * self.rate_hz

    def seek(self, frame: int) -> int:  # noqa: ARG002
        """Return the position; it cannot be changed."""
        return self._skipped

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples, ``float32 [n, channels]``, a bounded number at a time."""
        frame_bytes = _SAMPLE.itemsize * self.channels
        data, more = b"", self._begun
        while more:
            data += more
            whole = len(data) - len(data) % frame_bytes
            samples = np.frombuffer(data[:whole], _SAMPLE).astype(np.float32)
            yield samples.reshape(-1, self.channels)
            data = data[whole:]
            more = self._read(_READ_BYTES)
        if complaint := self._complaint():
            raise DamagedError(complaint)

    def close(self) -> None:
        """Stop ffmpeg."""
        self._process.kill()
        self._process.wait()
        self._audio.close()
        self._errors.close()

    def _header(self) -> tuple[int, int]:
        """Sample rate and channels, from the header of the AU stream, which is consumed."""
        _, start, _, _, rate_hz, channels = _AU.unpack(self._read_exactly(_AU.size))
        self._read_exactly(start - _AU.size)
        return rate_hz, channels

    def _read_exactly(self, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes:
            more = self._read(n_bytes - len(data))
            if not more:
                raise _refusal(self._complaint() or "ffmpeg finds no audio in it")
            data += more
        return data

    def _read(self, n_bytes: int) -> bytes:
        """At most ``n_bytes``, as soon as there are any; none at the end."""
        poll = select.poll()
        poll.register(self._audio, select.POLLIN)
        poll.register(self._errors, select.POLLIN)
        end_s = monotonic() + _STALL_S
        while (left_s := end_s - monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(left_s * 1000)]
            if self._errors.fileno() in ready and not self._hear():
                poll.unregister(self._errors)
            if self._audio.fileno() in ready:
                return self._audio.read(n_bytes)
        raise _refusal(f"ffmpeg gave no output for {_STALL_S:g} s")

    def _hear(self) -> bool:
        """Read from standard error, and keep the beginning; whether there was anything."""
        more = self._errors.read(_READ_BYTES)
        self._complaints += more[: _COMPLAINT_BYTES - len(self._complaints)]
        return bool(more)

    def _complaint(self) -> str:
        """What ffmpeg complained about by the end, as of gaps; empty where all is well."""
        while self._hear():
            pass
        status = self._process.wait()
        complaints = self._complaints.decode(errors="replace")
        if not (status or complaints):
            return ""
        first = complaints.replace(_CONTAINERS, "…").partition("\n")[0]
        first = re.sub(r"\[.*? @ \w+\] |(subfile,\S*)?file:/dev/fd/0: ", "", first)
        # Complaints may quote the file, and messages go to terminals.
        printable = "".join(filter(str.isprintable, first))
        return f"ffmpeg says: {printable or f'exit status {status}'}"


def _source(file: FileIO, part: Part) -> str:
    """The part of ffmpeg's standard input, in ffmpeg's words."""
    end = end_of(file, part)
    if part.start == 0 and end == size_of(file):
        return _FILE
    return f"subfile,,start,{part.start},end,{end},,:{_FILE}"


def _limit_memory(process: int) -> None:
    if sys.platform == "linux":
        _, hard = resource.prlimit(process, resource.RLIMIT_AS)
        most = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
        resource.prlimit(process, resource.RLIMIT_AS, (most, hard))


def _refusal(reason: str) -> AudioError:
    return AudioError(
        f"is damaged, truncated or not audio ({reason}): record it again or convert it to WAV"
    )
