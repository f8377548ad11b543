"""A mel spectrogram for the eye: like a model's features, not normalised as theirs are.

Computed here and not in the page, for browsers do not let a page opened from a file read others.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...audio import Pcm

_WINDOW_S: Final = 0.025
_BANDS: Final = 64
_RANGE_DB: Final = 70.0
"""What is so far below the loudest is as dark as silence."""
_MOST_FRAMES: Final = 1_500


def mel_spectrogram(samples: Pcm, rate_hz: int, hop_s: float) -> NDArray[Any]:
    """``samples [n]`` → log power, 0 to 1, ``[bands, frames]``, the highest band first.

    Frame ``t`` is what is around ``t * hop_s``, or further apart where these would be too many.
    """
    hop = max(round(hop_s * rate_hz), -(-len(samples) // _MOST_FRAMES), 1)
    size = round(_WINDOW_S * rate_hz)
    n_fft = 1 << (size - 1).bit_length()
    padded = np.pad(samples.astype(np.float32) / 32768, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), n_fft)) ** 2  # [frames, n_fft / 2 + 1]
    bands = power @ _filters(rate_hz, n_fft).T  # [frames, bands]
    decibels = 10 * np.log10(bands + 1e-10)
    scaled: NDArray[Any] = np.clip((decibels - decibels.max()) / _RANGE_DB + 1, 0, 1)
    return scaled.T[::-1]


def _filters(rate_hz: int, n_fft: int) -> NDArray[Any]:
    """Triangles, ``[bands, n_fft / 2 + 1]``, evenly spaced in mel (O'Shaughnessy, 1987)."""
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, _BANDS + 2) / 2595) - 1)
    low, centre, high = (edges_hz[at : at + _BANDS, None] for at in range(3))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / rate_hz)
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles: NDArray[Any] = np.maximum(np.minimum(rising, falling), 0)
    return triangles
