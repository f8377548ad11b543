"""What the readers of recordings have in common, and the errors that they raise."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class AudioReader(Protocol):
    """An open recording: its format, and its samples in blocks."""

    rate_hz: int
    channels: int
    n_frames: int | None
    """How many frames there are, ``None`` where only reading to the end tells."""

    def seek(self, frame: int) -> int:
        """Go to ``frame`` if no reading is needed for it; returns the position afterwards."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples from here on, ``float32 [n, channels]``, a bounded number at a time.

        Raises ``DamagedError`` after the last block that could be read.
        """

    def close(self) -> None:
        """Close files and processes."""


class CannotOpenError(Exception):
    """libsndfile cannot open the file; ffmpeg may."""


class DamagedError(Exception):
    """Samples are missing or damaged; the message says what was found."""
