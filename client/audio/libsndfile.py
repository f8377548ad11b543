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

from client.audio.containers import Container
from client.audio.options import ENCODINGS, RawFormat
from client.errors import AudioError

_WHOLE_FILE: Final = Container()
_BLOCK_SAMPLES: Final = 1 << 16
_UNKNOWN_FRAMES: Final = 1 << 60  # libsndfile's "I don't know" is 2**63 - 1


class CannotOpen(AudioError):
    """libsndfile does not take the file; ffmpeg may."""


class SndfileDecoder:
    """A recording being decoded: its format, and its samples in blocks.

    Raises :class:`CannotOpen` for a file that libsndfile does not open, or does not know the length
    of.
    """

    def __init__(
        self, file: FileIO, container: Container = _WHOLE_FILE, raw: RawFormat | None = None
    ) -> None:
        file.seek(0)
        self._pipe = None if container.length_known else _Pipe(file.fileno(), container.start)
        descriptor = self._pipe.descriptor if self._pipe else file.fileno()
        try:
            self._file = soundfile.SoundFile(descriptor, closefd=False, **_arguments(raw))
        except soundfile.SoundFileError as error:
            if self._pipe is not None:
                self._pipe.close()
            raise CannotOpen(getattr(error, "error_string", str(error))) from error
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.n_frames: int | None = None if self._pipe else self._file.frames
        if self.n_frames is not None and self.n_frames >= _UNKNOWN_FRAMES:
            self.close()
            raise CannotOpen(f"the {self._file.format} header does not say how long it is")

    def seek(self, frame: int) -> int:
        """Go to ``frame`` if it can be reached without reading on; gives where it is then."""
        with _damage():
            return int(self._file.seek(frame)) if frame and self._file.seekable() else 0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples from here on, ``float32 [n, channels]``, a bounded number at a time."""
        n_frames = _BLOCK_SAMPLES // self.channels
        while True:
            with _damage():
                block = self._file.read(n_frames, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block

    def close(self) -> None:
        """Release the file."""
        self._file.close()
        if self._pipe is not None:
            self._pipe.close()


@contextmanager
def _damage() -> Iterator[None]:
    """What libsndfile finds wrong with the samples, as our error."""
    try:
        yield
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", error)  # without the descriptor
        raise AudioError(f"is damaged or truncated ({reason}): copy or record it again") from error


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


class _Pipe:
    """A file from ``start`` on, as a pipe.

    Of an MP3 file without a table of its frames, libsndfile reads only as much as it guesses from
    the first bit rate (measured: 40 % of one with a variable bit rate); of a pipe, it reads all.
    """

    def __init__(self, source: int, start: int) -> None:
        self.descriptor, self._sink = os.pipe()
        self._thread = Thread(target=self._feed, args=(source, start), daemon=True)
        self._thread.start()

    def _feed(self, source: int, at: int) -> None:
        try:
            with os.fdopen(self._sink, "wb") as sink:
                while chunk := os.pread(source, 1 << 16, at):
                    at += len(chunk)
                    sink.write(chunk)
        except OSError:  # the reader has enough, or the file cannot be read on: it ends here
            return

    def close(self) -> None:
        """Stop feeding."""
        os.close(self.descriptor)
        self._thread.join()
