"""Decoding in this process, by libsndfile through soundfile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from threading import Thread
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from .containers import Part
from .options import ENCODINGS, RawFormat

BLOCK_SAMPLES: Final = 1 << 16
_MPEG_SLACK_FRAMES: Final = 2 * 1152
"""An MPEG encoder's delay, which some headers count and libsndfile leaves out."""
_UNKNOWN_FRAMES: Final = 1 << 60  # libsndfile's "I don't know" is 2**63 - 1


class CannotOpenError(Exception):
    """libsndfile cannot open the file; ffmpeg may."""


class DamagedError(Exception):
    """Samples are missing or damaged; the message says what was found."""


class SndfileReader:
    """A reader of what libsndfile decodes: its format, and its samples in blocks.

    ``part`` is where it is in the file, ``None`` for headerless audio. Blocks hold at most
    ``block_samples``: what comes in a block before damage is lost with it. Raises
    ``CannotOpenError`` for a file that libsndfile does not open, or does not know the length of.
    """

    def __init__(
        self,
        file: FileIO,
        part: Part | None,
        raw: RawFormat | None = None,
        block_samples: int = BLOCK_SAMPLES,
    ) -> None:
        self._block_samples = block_samples
        self._pipe = None if part is None or part.length_known else _Pipe(file, part)
        try:
            self._file = soundfile.SoundFile(
                self._pipe.descriptor if self._pipe else _readable(file, part),
                closefd=False,
                **_arguments(raw),
            )
        except soundfile.SoundFileError as error:
            if self._pipe is not None:
                self._pipe.close()
            raise CannotOpenError(getattr(error, "error_string", str(error))) from error
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        # None where only reading to the end tells.
        self.n_frames: int | None = None if self._pipe else self._file.frames
        if self.n_frames is not None and self.n_frames >= _UNKNOWN_FRAMES:
            self.close()
            raise CannotOpenError(f"the {self._file.format} header does not say how long it is")
        self._at = 0

    def seek(self, frame: int) -> int:
        """Go to ``frame`` if no reading is needed for it; returns the position afterwards."""
        within = min(frame, self._file.frames)
        with _damage():
            self._at = int(self._file.seek(within)) if within and self._file.seekable() else 0
        return self._at

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples from here on, ``float32 [n, channels]``, a bounded number at a time.

        Raises ``DamagedError`` after the last block that could be read.
        """
        n_frames = max(1, self._block_samples // self.channels)
        while True:
            with _damage():
                block = self._file.read(n_frames, dtype="float32", always_2d=True)
            if not len(block):
                break
            self._at += len(block)
            yield block
        slack = _MPEG_SLACK_FRAMES if self._file.subtype.startswith("MPEG") else 0
        if self.n_frames is not None and self._at + slack < self.n_frames:
            raise DamagedError(f"its header promises {self.n_frames} samples, {self._at} are there")

    def close(self) -> None:
        """Release the file."""
        self._file.close()
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


@contextmanager
def _damage() -> Iterator[None]:
    """Turn libsndfile's errors into ``DamagedError``."""
    try:
        yield
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", error)  # without the descriptor
        raise DamagedError(f"libsndfile says: {reason}") from error


def _arguments(raw: RawFormat | None) -> dict[str, Any]:
    if raw is None:
        return {}
    subtype, endian = ENCODINGS[raw.encoding]
    return {
        "samplerate": raw.rate_hz,
        "channels": raw.channels,
        "format": "RAW",
        "subtype": subtype,
        "endian": endian,
    }


def _readable(file: FileIO, part: Part | None) -> "int | _View":
    """The file itself where the part is all of it, uncorrected; otherwise a view of the part."""
    file.seek(0)
    whole = part is None or (part.start == 0 and part.end == os.fstat(file.fileno()).st_size)
    if part is None or (whole and part.correction is None):
        return file.fileno()
    return _View(file, part)


class _View:
    """A part of a file as a file that soundfile reads, its header corrected."""

    def __init__(self, file: FileIO, part: Part) -> None:
        self._file = file
        self._part = part
        self._at = part.start

    def tell(self) -> int:
        return self._at - self._part.start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: self._part.start, os.SEEK_CUR: self._at, os.SEEK_END: self._part.end}
        self._at = max(self._part.start, begin[whence] + offset)
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        left = max(0, self._part.end - self._at)
        data = self._corrected(os.pread(self._file.fileno(), min(len(view), left), self._at))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _corrected(self, data: bytes) -> bytes:
        place, right = self._part.correction or (0, b"")
        begin, end = max(place, self._at), min(place + len(right), self._at + len(data))
        if begin >= end:
            return data
        before, after = data[: begin - self._at], data[end - self._at :]
        return before + right[begin - place : end - place] + after


class _Pipe:
    """An MP3 recording as a pipe.

    Of an MP3 file without a table of its frames, libsndfile reads only as much as it guesses from
    the first bit rate (measured: 40 % of one with a variable bit rate); of a pipe, it reads all.
    """

    def __init__(self, file: FileIO, part: Part) -> None:
        self.descriptor, self._sink = os.pipe()
        self._thread = Thread(target=self._feed, args=(file.fileno(), part), daemon=True)
        self._thread.start()

    def _feed(self, source: int, part: Part) -> None:
        at = part.audio
        try:
            with os.fdopen(self._sink, "wb") as sink:
                while chunk := os.pread(source, min(1 << 16, max(0, part.end - at)), at):
                    at += len(chunk)
                    sink.write(chunk)
        except OSError:  # the reader has enough, or the file cannot be read on: it ends here
            return

    def close(self) -> None:
        """Stop feeding."""
        os.close(self.descriptor)
        self._thread.join()
