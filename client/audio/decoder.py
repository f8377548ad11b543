"""What decoders of recordings have in common, and what may keep them from it."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Decoder(Protocol):
    """A recording being decoded: its format, and its samples in blocks."""

    rate_hz: int
    channels: int
    n_frames: int | None
    """How many there are, ``None`` where only the end tells."""

    def seek(self, frame: int) -> int:
        """Go to ``frame`` if it can be reached without reading on; gives where it is then."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples from here on, ``float32 [n, channels]``, a bounded number at a time.

        Raises ``DamagedError``, in the end or where nothing more can be read.
        """

    def close(self) -> None:
        """Release what it holds."""


class CannotOpenError(Exception):
    """libsndfile does not take the file; ffmpeg may."""


class DamagedError(Exception):
    """Not all is there, or not as it was: says what was found."""
