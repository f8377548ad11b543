"""Recordings in, samples out: what a model takes is mono 16-bit PCM at its own sample rate.

Flow: path, bytes or open file → soundfile (decode) → mean of the channels → soxr (resample) →
``int16 [n_samples]``. Sixteen-bit mono audio at the right rate comes through bit by bit.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from client.errors import AudioError

AudioSource: TypeAlias = Path | str | bytes | BinaryIO
Pcm: TypeAlias = NDArray[np.int16]

_FULL_SCALE: Final = 32768
_RATES_HZ: Final = (1_000, 1_000_000)  # outside is a damaged header; resampling it fills memory
_BLOCK_FRAMES: Final = 1 << 16
_UNKNOWN_FRAMES: Final = 1 << 60  # libsndfile's "I don't know" is 2**63 - 1
_UNKNOWN_BYTES: Final = 0x7FFF_F000  # what sox, and 0xFFFFFFFF what ffmpeg, writes into a pipe
_SLACK_S: Final = 0.1  # manifests round durations
_NO_SAMPLES: Final = "holds no samples: record or export it again"


@dataclass(frozen=True)
class Clip:
    """A piece of a recording: from ``offset_s`` on, ``duration_s`` long (``None``: to the end)."""

    source: AudioSource
    offset_s: float = 0.0
    duration_s: float | None = None


def load_audio(source: AudioSource | Clip, sample_rate_hz: int) -> Pcm:
    """Decode a recording to mono PCM, ``int16 [n_samples]`` at ``sample_rate_hz``.

    Reads whatever soundfile reads (WAV, FLAC, OGG, MP3, AIFF and more), at any rate and with any
    number of channels. Raises :class:`AudioError` when the source is missing, a directory, empty,
    truncated, no audio, or holds no samples or NaN.
    """
    clip = source if isinstance(source, Clip) else Clip(source)
    name = _name(clip.source)
    with _audio_errors(name), _open(clip.source) as stream:
        _check_chunks(stream)
        with soundfile.SoundFile(stream) as file:
            samples = _read(file, clip)  # [n]
            return to_pcm(samples, file.samplerate, sample_rate_hz)


def to_pcm(samples: NDArray[Any], rate_hz: int, sample_rate_hz: int) -> Pcm:
    """Convert samples at ``rate_hz`` to mono PCM, ``int16 [n_samples]`` at ``sample_rate_hz``.

    ``samples`` is ``[n]`` or ``[n, channels]``, either int16 or floating in [-1, 1]; where the mean
    of the channels lies beyond, it is clipped. Raises :class:`AudioError` for other types and
    shapes, no samples, NaN or infinite samples, and sample rates that no recording has.
    """
    _check_array(samples)
    _check_rate(rate_hz)
    waveform = np.clip(_mono(samples), -1, 1).astype(np.float32)  # [n]
    if rate_hz != sample_rate_hz:
        waveform = soxr.resample(waveform, rate_hz, sample_rate_hz)  # [n * new rate / rate]
    rounded = np.clip(np.rint(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    pcm: Pcm = rounded.astype(np.int16)
    return pcm


def _mono(samples: NDArray[Any]) -> NDArray[Any]:
    """The mean of the channels, ``[n]`` or ``[n, channels]`` → floating ``[n]``, not clipped."""
    scaled = samples.astype(np.float32) / _FULL_SCALE if samples.dtype == np.int16 else samples
    return scaled.mean(axis=1) if scaled.ndim == 2 else scaled


def _check_array(samples: NDArray[Any]) -> None:
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"samples are {samples.dtype}, expected int16 or a floating type in [-1, 1]"
        )
    if samples.ndim not in (1, 2):
        raise AudioError(f"samples have shape {samples.shape}, expected [n] or [n, channels]")
    if samples.size == 0:
        raise AudioError(_NO_SAMPLES)
    if not np.isfinite(samples).all():
        bad = samples.size - int(np.isfinite(samples).sum())
        raise AudioError(f"{bad} of {samples.size} samples are NaN or infinite: export it again")


def _check_rate(rate_hz: int) -> None:
    low, high = _RATES_HZ
    if not low <= rate_hz <= high:
        raise AudioError(f"the sample rate is {rate_hz} Hz, expected {low} to {high}: damaged?")


def _name(source: AudioSource) -> str:
    if isinstance(source, bytes):
        return f"audio of {len(source)} bytes"
    return str(getattr(source, "name", "audio stream") if hasattr(source, "read") else source)


@contextmanager
def _audio_errors(name: str) -> Iterator[None]:
    """Name the recording in every error, and make the libraries' errors ours."""
    try:
        yield
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error.__cause__
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such file: check the path") from error
    except OSError as error:
        raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from error
    # soundfile asks for a rate (TypeError) when a name ends in .raw: there is no header to read
    except (soundfile.SoundFileError, TypeError) as error:
        reason = getattr(error, "error_string", error)  # without the stream's repr
        raise AudioError(
            f"{name}: is damaged, truncated or not audio, expected WAV, FLAC or another format "
            f"that libsndfile reads ({reason}): convert it, for instance with ffmpeg"
        ) from error


def _open(source: AudioSource) -> BinaryIO:
    """The source as a seekable stream."""
    if isinstance(source, bytes):
        stream: BinaryIO = io.BytesIO(source)
    elif isinstance(source, (str, Path)):
        path = Path(source)
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            kind = "directory" if path.is_dir() else "device or pipe"
            raise AudioError(f"is a {kind}, expected an audio file")
        stream = path.open("rb")
    elif hasattr(source, "read"):
        stream = io.BytesIO(source.read())
    else:
        raise AudioError(
            f"is of type {type(source).__name__}, expected a path, bytes or an open binary file"
        )
    if not stream.read(1):
        stream.close()
        raise AudioError("is empty (0 bytes), expected audio: copy or record it again")
    stream.seek(0)
    return stream


def _check_chunks(stream: BinaryIO) -> None:
    """Refuse a WAV or AIFF file that ends before the samples its header promises.

    libsndfile reads such a file without a word, as a shorter recording.
    """
    header = stream.read(12)
    end = stream.seek(0, io.SEEK_END)
    kinds = {(b"RIFF", b"WAVE"): ("little", b"data"), (b"FORM", b"AIFF"): ("big", b"SSND")}
    order, wanted = kinds.get((header[:4], header[8:]), ("little", b""))
    at = len(header)
    while wanted and at + 8 <= end:
        stream.seek(at)
        chunk = stream.read(8)
        size = int.from_bytes(chunk[4:], "big" if order == "big" else "little")
        if chunk[:4] == wanted:
            if end - at - 8 < size < _UNKNOWN_BYTES:
                raise AudioError(
                    f"is truncated: its header promises {size} bytes of samples, "
                    f"{end - at - 8} are there: copy or record it again"
                )
            break
        at += 8 + size + size % 2
    stream.seek(0)


def _read(file: soundfile.SoundFile, clip: Clip) -> NDArray[np.float32]:
    """The clip's samples as decoded, mixed to mono, ``float32 [n_samples]``."""
    _check_rate(file.samplerate)
    if file.frames >= _UNKNOWN_FRAMES:
        raise AudioError(
            f"its {file.format} header does not say how long it is: write it to a file, not a pipe"
        )
    if file.frames == 0:
        raise AudioError(_NO_SAMPLES)
    start, stop = _bounds(clip, file.frames, file.samplerate)
    file.seek(start)
    blocks = []
    while start < stop:
        block = file.read(min(_BLOCK_FRAMES, stop - start), dtype="float32", always_2d=True)
        if len(block) == 0:
            raise AudioError(
                f"is truncated: its header promises {file.frames} samples, "
                f"{start} are there: copy or record it again"
            )
        blocks.append(_mono(block))  # [block, channels] → [block], before they fill memory
        start += len(block)
    return np.concatenate(blocks)


def _bounds(clip: Clip, n_frames: int, rate_hz: int) -> tuple[int, int]:
    """First and last (exclusive) frame of the clip, which is at least one frame long."""
    length_s = n_frames / rate_hz
    stop_s = length_s if clip.duration_s is None else clip.offset_s + clip.duration_s
    # Written so that NaN is refused too.
    inside = 0 <= clip.offset_s < min(stop_s, length_s) and stop_s <= length_s + _SLACK_S
    if not inside:
        end = "the end" if clip.duration_s is None else f"{stop_s:.2f} s"
        raise AudioError(
            f"is {length_s:.2f} s long, the piece asked for goes from {clip.offset_s:.2f} s to "
            f"{end}: correct offset and duration"
        )
    start = min(n_frames - 1, round(clip.offset_s * rate_hz))
    return start, min(n_frames, start + max(1, round((stop_s - clip.offset_s) * rate_hz)))
