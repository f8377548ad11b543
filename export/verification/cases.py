"""The utterances that verification runs: made-up ones of awkward lengths, and a manifest's."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from client.contract import Contract
from export.errors import ExportError

SEED = 0


@dataclass(frozen=True)
class Case:
    """One utterance: int16 audio, shape = (n_samples,), at the model's rate.

    ``recorded`` is speech from a manifest, ``text`` what is said in it, where the manifest tells.
    """

    name: str
    audio: NDArray[Any]
    recorded: bool = False
    text: str | None = None


def generated_cases(contract: Contract, max_s: float = 30.0) -> list[Case]:
    """Utterances around frame borders, very short and long, silent, faint, clipped and gated.

    None is longer than ``max_s`` seconds, or than the model takes.
    """
    longest = min(round(max_s * contract.sample_rate_hz), contract.max_samples)
    hop = round(contract.feature_stride_s * contract.sample_rate_hz)
    stride = round(contract.frame_stride_s * contract.sample_rate_hz)
    second = contract.sample_rate_hz
    lengths = {
        "shortest": contract.min_samples,
        "shortest + 1": contract.min_samples + 1,
        "3 hops - 1": 3 * hop - 1,
        "16 hops - 1": 16 * hop - 1,
        "16 hops": 16 * hop,
        "16 hops + 1": 16 * hop + 1,
        "25 frames - 1": 25 * stride - 1,
        "25 frames": 25 * stride,
        "25 frames + 1": 25 * stride + 1,
    } | {
        f"{seconds:g} s": round(seconds * second)
        for seconds in (0.1, 0.25, 0.7, 1, 2.37, 4, 5.5, 8.1, 10, 15, 30)
    }
    cases = [
        Case(name, _babble(length, second)) for name, length in lengths.items() if length <= longest
    ]
    speech = _babble(2 * second, second)
    return [
        *cases,
        Case("clipped", np.where(speech < 0, -32768, 32767).astype(np.int16)),
        Case("faint", (speech // 32).astype(np.int16)),
        Case("silent start", np.concatenate([np.zeros(second, np.int16), speech])),
        Case("digital silence", np.zeros(second, np.int16)),
        *(case for case in _gated_cases(second) if len(case.audio) <= longest),
    ]


def _gated_cases(rate_hz: int) -> Iterator[Case]:
    """Recordings as telephones, editors and archives make them: mostly digital silence, or faint.

    Equal features in thousands of frames are where a mean that is summed in fp32 goes astray.
    """
    for seconds in (2, 10, 30, 110):
        speech = _babble(seconds * rate_hz, rate_hz)
        time_s = np.arange(len(speech)) / rate_hz
        middle = abs(time_s - seconds / 2) < seconds / 8
        spoken = time_s % 1.3 < 0.6
        through_telephone = _through_g711(speech)
        variants = {
            "padded": np.where(middle, speech, 0),
            "gated": np.where(spoken, speech, 0),
            "µ-law": through_telephone,
            "µ-law, gated": np.where(spoken, through_telephone, _through_g711(np.zeros(1))),
            "quiet": speech // 1024,
        }
        for name, audio in variants.items():
            yield Case(f"{name} {seconds} s", audio.astype(np.int16))


def _through_g711(audio: NDArray[Any]) -> NDArray[Any]:
    """Audio as µ-law telephony leaves it; int16, shape = (n_samples,)."""
    stream = io.BytesIO()
    settings: dict[str, Any] = {"format": "RAW", "subtype": "ULAW", "samplerate": 8000}
    soundfile.write(stream, audio.astype(np.int16), **settings)
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="int16", channels=1, **settings)
    return np.asarray(decoded)


def manifest_cases(manifest: Path, contract: Contract) -> list[Case]:
    """The utterances of a NeMo manifest; paths are relative to its folder.

    Raises :class:`ExportError` for a line that names no mono audio at the model's rate, or
    audio that is too short or too long for it, and for a manifest without any line.
    """
    cases = [
        Case(
            Path(piece["audio_filepath"]).name,
            _read(manifest.parent, piece, contract),
            recorded=True,
            text=piece.get("text"),
        )
        for piece in _pieces(manifest)
    ]
    if not cases:
        raise ExportError(f"the manifest {manifest} has no line: give recordings, one a line")
    return cases


def _pieces(manifest: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"cannot read the manifest {manifest}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _piece(line, f"{manifest}, line {number}")


def _piece(line: str, where: str) -> dict[str, Any]:
    """A line that has a path, and numbers for ``offset`` and ``duration`` if it has them."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ExportError(f"{where}: not JSON: {error}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("audio_filepath"), str):
        raise ExportError(f"{where}: expected an object with audio_filepath, a path")
    if not isinstance(entry.get("text") or "", str):
        raise ExportError(f"{where}: text is {entry['text']!r}, expected what is said")
    for name in ("offset", "duration"):
        if not isinstance(entry.get(name) or 0, (int, float)):
            raise ExportError(f"{where}: {name} is {entry[name]!r}, expected seconds")
    return entry


def _read(folder: Path, piece: dict[str, Any], contract: Contract) -> NDArray[Any]:
    path = folder / piece["audio_filepath"]
    try:
        audio, rate_hz = soundfile.read(path, dtype="int16")
    except (OSError, soundfile.SoundFileError) as error:
        raise ExportError(f"cannot read {path}: {error}") from error
    if audio.ndim != 1 or rate_hz != contract.sample_rate_hz:
        raise ExportError(
            f"{path}: verification takes mono audio at {contract.sample_rate_hz} Hz, this has"
            f" shape {audio.shape} at {rate_hz} Hz: convert it, for instance with sox or ffmpeg"
        )
    if piece.get("offset") is not None:
        start = round(piece["offset"] * rate_hz)
        audio = audio[start : start + round((piece.get("duration") or len(audio)) * rate_hz)]
    if not contract.min_samples <= len(audio) <= contract.max_samples:
        raise ExportError(
            f"{path}: the model takes {contract.min_samples} to {contract.max_samples} samples,"
            f" this has {len(audio)}"
        )
    return np.asarray(audio, dtype=np.int16)


def _babble(n_samples: int, rate_hz: int) -> NDArray[Any]:
    """Voiced syllables of changing pitch over a noise floor; int16, shape = (n_samples,)."""
    rng = np.random.default_rng(SEED + n_samples)
    time_s = np.arange(n_samples) / rate_hz
    pitch_hz = 120 + 40 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    formant = 0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * time_s)
    harmonics = range(1, 25)
    voice = sum(np.sin(k * phase) * np.exp(-((k / 8 - 2 * formant) ** 2)) / k for k in harmonics)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time_s), 0, None)
    noise = rng.standard_normal(n_samples)
    return np.asarray(6000 * voice * syllables + 150 * noise, dtype=np.int16)
