"""Decoded samples → mono 16-bit PCM at the model's rate, block by block."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from ..errors import AudioError
from .options import MOST_CHANNELS, check_format

Pcm: TypeAlias = NDArray[np.int16]

NO_SAMPLES: Final = "holds no samples: record or export it again"
_FULL_SCALE: Final = 32768
_BLOCK_FRAMES: Final = 1 << 16


def to_pcm(samples: NDArray[Any], rate_hz: int, sample_rate_hz: int) -> Pcm:
    """Convert samples at ``rate_hz`` to mono PCM, ``int16 [n_samples]`` at ``sample_rate_hz``.

    ``samples`` is ``[n]`` or ``[n, channels]``, either int16 or floating in [-1, 1]; where the mean
    of the channels lies beyond, it is clipped. Raises ``AudioError`` for other types and
    shapes, no samples, NaN or infinite samples, and sample rates that no recording has.
    """
    _check_array(samples)
    check_format(rate_hz, channels=1)
    starts = range(0, len(samples), _BLOCK_FRAMES)
    blocks = (mono(samples[start : start + _BLOCK_FRAMES]) for start in starts)
    return joined(converted(blocks, rate_hz, sample_rate_hz))


def mono(samples: NDArray[Any], channel: int | None = None) -> NDArray[Any]:
    """The channel, counted from 1, or the mean of all: ``[n]`` or ``[n, channels]`` → ``[n]``.

    Floating, not clipped; an overflow is infinite.
    """
    scaled = samples.astype(np.float32) / _FULL_SCALE if samples.dtype == np.int16 else samples
    if scaled.ndim == 1:
        return scaled
    if channel is not None:
        return scaled[:, channel - 1]
    with np.errstate(over="ignore", invalid="ignore"):  # converted() finds what is not finite
        mean: NDArray[Any] = scaled.mean(axis=1)
        return mean


def converted(blocks: Iterable[NDArray[Any]], rate_hz: int, sample_rate_hz: int) -> Iterator[Pcm]:
    """Floating mono blocks ``[n]`` at ``rate_hz`` → ``int16 [m]`` at ``sample_rate_hz``.

    Raises ``AudioError`` for NaN and infinite samples.
    """
    resampler = None
    if rate_hz != sample_rate_hz:
        resampler = soxr.ResampleStream(rate_hz, sample_rate_hz, 1, dtype="float32")
    for block in blocks:
        _check_finite(block)
        waveform = np.clip(block, -1, 1).astype(np.float32)  # [n]
        if resampler is not None:
            waveform = resampler.resample_chunk(waveform)  # [about n * new rate / rate]
        yield _rounded(waveform)
    if resampler is not None:
        yield _rounded(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def joined(blocks: Iterable[Pcm]) -> Pcm:
    """The blocks as one array.

    It grows in place: a list of blocks, concatenated, would take twice the memory.
    """
    pcm = bytearray()
    for block in blocks:
        pcm += block.data
    return np.frombuffer(pcm, np.int16)


def _rounded(waveform: NDArray[np.float32]) -> Pcm:
    scaled = np.rint(waveform * _FULL_SCALE)
    pcm: Pcm = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    return pcm


def _check_array(samples: NDArray[Any]) -> None:
    if isinstance(samples, np.ma.MaskedArray):
        raise AudioError("samples are a masked array, expected a plain one: fill it, .filled(0)")
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"samples are {samples.dtype}, expected int16 or a floating type in [-1, 1]"
        )
    if samples.ndim not in (1, 2):
        raise AudioError(f"samples have shape {samples.shape}, expected [n] or [n, channels]")
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        raise AudioError(
            f"samples have shape {samples.shape}, expected [n] or [n, channels] with at most "
            f"{MOST_CHANNELS} channels: transpose [channels, n]"
        )
    if samples.size == 0:
        raise AudioError(NO_SAMPLES)


def _check_finite(samples: NDArray[Any]) -> None:
    finite = np.isfinite(samples)
    if not finite.all():
        bad = samples.size - int(finite.sum())
        raise AudioError(f"{bad} of {samples.size} samples are NaN or infinite: export it again")
