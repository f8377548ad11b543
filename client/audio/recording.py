"""A file as one recording: all its parts, each by the reader that reads it.

Flow: file → ``parts`` → libsndfile, or ffmpeg for what it does not
open → blocks. Where libsndfile cannot read on, ffmpeg does, from there, where it is installed.

One rule for damaged and truncated recordings: the intact part is read, with a warning, and
``strict`` rejects them. A recording without any samples is always rejected.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from io import FileIO
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError
from .chunks import size_of
from .containers import Part, parts
from .conversion import NO_SAMPLES
from .ffmpeg import FfmpegReader
from .libsndfile import CannotOpenError, DamagedError, SndfileReader
from .options import AudioOptions, Clip, Warn, as_warning

_CAREFUL_SAMPLES: Final = 256
"""The block size near damage: the block that holds it is lost."""

Blocks: TypeAlias = Iterator[NDArray[np.float32]]
AudioReader: TypeAlias = SndfileReader | FfmpegReader


class Recording:
    """A reader, as ``SndfileReader``, of all that is in ``file``.

    ``clip`` is the piece that will be read, and ``warn`` is called with what is wrong. Raises
    ``AudioError``.
    """

    def __init__(
        self, file: FileIO, clip: Clip, options: AudioOptions, warn: Warn = as_warning
    ) -> None:
        self._file = file
        self._clip = clip
        self._strict = options.strict
        self._warn = warn
        self._others: list[Part] = []
        self._at = 0
        self.fault = ""
        """What is wrong with the parts read so far, for which the recording may be too short."""
        self._fault = ""  # of the part that is open
        found: Iterator[Part] = iter(())
        self._part: Part | None = None
        self._reader: AudioReader
        if options.raw is None:
            found = parts(file)
            self._part, self._reader = self._first(found)
        else:
            try:
                self._reader = SndfileReader(file, None, options.raw)
            except CannotOpenError as error:
                raise _rejection(str(error)) from error
        self.rate_hz = self._reader.rate_hz
        self.channels = self._reader.channels
        self.n_frames = None if self.fault else self._reader.n_frames
        if self._reaches_the_end():
            try:
                self._others = list(found)
            except BaseException:
                self.close()
                raise
        if self._others:
            self.n_frames = None

    def seek(self, frame: int) -> int:
        """Go to ``frame`` if no reading is needed for it; returns the position afterwards."""
        if self._others:
            return 0
        try:
            self._at = self._reader.seek(frame)
        except DamagedError as error:
            raise _rejection(str(error)) from error
        return self._at

    def blocks(self) -> Blocks:
        """The samples from here on, ``float32 [n, channels]``, a bounded number at a time."""
        failed: list[AudioError] = []
        for part in (self._part, *self._others):
            try:
                if part is not None and part is not self._part:
                    self._reader.close()
                    self._reader, self._at = self._opened(part), 0
                    self._check_format()
                yield from self._readable(part)
            except AudioError as error:
                if self._strict:
                    raise
                failed.append(error)
                if len(failed) > len(self._others):
                    raise failed[0] from None
                self._leave_out(part, error)

    def close(self) -> None:
        """Release what it holds."""
        self._reader.close()

    def _reaches_the_end(self) -> bool:
        """Whether the clip reaches the end of the first part: only then are others looked for."""
        if self._clip.duration_s is None or self.n_frames is None:
            return True
        return self._clip.offset_s + self._clip.duration_s > self.n_frames / self.rate_hz

    def _first(self, found: Iterator[Part]) -> tuple[Part, AudioReader]:
        """The first part that can be opened; raises what the very first does if none can."""
        failed: list[tuple[Part, AudioError]] = []
        for part in found:
            try:
                reader = self._opened(part)
            except AudioError as error:
                if self._strict:
                    raise
                failed.append((part, error))
            else:
                for each in failed:
                    self._leave_out(*each)
                return part, reader
        raise failed[0][1]

    def _leave_out(self, part: Part | None, error: AudioError) -> None:
        start = part.start if part else 0
        self._warn(f"holds a recording, from byte {start} on, that is left out: {error}")

    def _opened(self, part: Part) -> AudioReader:
        """A reader of the part; ``fault`` says where its header is wrong."""
        self._find(part.fault)
        if self._fault and self._strict:
            raise _rejection(self._fault)
        if not part.for_libsndfile:
            return self._by_ffmpeg(part, "unknown signature")
        try:
            reader = SndfileReader(self._file, part)
        except CannotOpenError as error:
            return self._by_ffmpeg(part, str(error))
        if reader.n_frames != 0:
            return reader
        reader.close()
        if not self._fault:
            raise AudioError(NO_SAMPLES)
        return self._by_ffmpeg(part, self._fault)

    def _find(self, fault: str) -> None:
        self._fault = fault
        self.fault = self.fault or fault

    def _by_ffmpeg(self, part: Part, reason: str) -> AudioReader:
        alone = part.start == 0 and part.end == size_of(self._file)
        start_s = self._clip.offset_s if alone else 0.0
        return FfmpegReader(self._file, part, reason, start_s=start_s, strict=self._strict)

    def _check_format(self) -> None:
        """Raise ``AudioError`` where a part is of another format than the first."""
        rate_hz, channels = self._reader.rate_hz, self._reader.channels
        if (rate_hz, channels) != (self.rate_hz, self.channels):
            raise AudioError(
                f"is at {rate_hz} Hz with {channels} channels, after one at {self.rate_hz} Hz with "
                f"{self.channels}: split it"
            )

    def _readable(self, part: Part | None) -> Blocks:
        """The intact samples of the open part, with at most one warning."""
        warned = False
        begin = self._at
        for block in self._intact(part):
            self._at += len(block)
            if self._fault and not warned:  # now: who has all that was promised asks no further
                self._warn(_warning(self._fault))
                warned = True
            yield block
        if self._fault and self._at == begin:
            raise _rejection(self._fault)
        if self._fault and not warned:
            self._warn(_warning(self._fault))

    def _intact(self, part: Part | None) -> Blocks:
        """What the reader finds, and after damage another one; notes the damage as a fault."""
        try:
            yield from self._reader.blocks()
        except DamagedError as error:
            if self._strict:
                raise _rejection(str(error)) from error
            self._find(self._fault or str(error))
            yield from self._rest(part)

    def _rest(self, part: Part | None) -> Blocks:
        """What another reader finds in the part from here on."""
        if part is None or isinstance(self._reader, FfmpegReader):
            return
        with (
            suppress(CannotOpenError, DamagedError),  # the first reader has said so
            closing(self._second_opinion(part)) as other,
        ):
            if (other.rate_hz, other.channels) != (self.rate_hz, self.channels):
                return
            start = self._at
            at = other.seek(start)
            for block in other.blocks():
                yield block[max(0, start - at) :]
                at += len(block)

    def _second_opinion(self, part: Part) -> AudioReader:
        try:
            return FfmpegReader(self._file, part, "")
        except AudioError:
            return SndfileReader(self._file, part, block_samples=_CAREFUL_SAMPLES)


def _rejection(reason: str) -> AudioError:
    return AudioError(f"is damaged or truncated: {reason}: copy or record it again")


def _warning(reason: str) -> str:
    return f"is damaged or truncated: {reason}: read as far as possible"
