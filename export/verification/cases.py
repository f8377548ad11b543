"""The utterances that verification runs: made-up ones of awkward lengths, and a manifest's."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from client.audio import AudioOptions, load_audio
from client.errors import AudioError, ManifestError
from client.manifests.manifest import Entry, read_manifest
from client.wire.contract import Contract
from export.errors import ExportError

SEED = 0
BATCHED_S: Final = 30.0
"""Longer made-up recordings are run alone: every batch is padded to its longest utterance."""
BATCHED_IN_BUILD_S: Final = 10.0
"""The same in a build: batches hold a third as much padded audio as in ``verify``."""
LONGEST_S: Final = 110.0
PERIOD_S: Final = 30.0
"""After which made-up speech repeats itself."""


@dataclass(frozen=True)
class Case:
    """One utterance: int16 audio, shape = (n_samples,), at the model's rate.

    ``recorded`` is speech from a manifest, ``text`` what is said in it, where the manifest tells.
    ``alone``: it is too long to be run in batches.
    """

    name: str
    audio: NDArray[Any]
    recorded: bool = False
    alone: bool = False
    text: str | None = None


def generated_cases(
    contract: Contract, max_s: float = LONGEST_S, batched_s: float = BATCHED_S
) -> list[Case]:
    """Utterances up to ``max_s`` around frame borders, very short and long, silent and clipped.

    Those of more than ``batched_s`` are to be run alone.
    """
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
    most = min(round(max_s * second), contract.max_samples)
    cases = [
        Case(name, _babble(length, second)) for name, length in lengths.items() if length <= most
    ]
    speech = _babble(2 * second, second)
    levels = {
        "clipped": np.where(speech < 0, -32768, 32767).astype(np.int16),
        "faint": (speech // 32).astype(np.int16),
        "silent start": np.concatenate([np.zeros(second, np.int16), speech]),
        "digital silence": np.zeros(second, np.int16),
    }
    cases += [Case(name, audio[:most]) for name, audio in levels.items()]
    cases += _recordings(most, second)
    return [replace(case, alone=len(case.audio) > batched_s * second) for case in cases]


def _recordings(most: int, rate_hz: int) -> list[Case]:
    """Speech beside digital silence, from a telephone, and nearly inaudible: 10 s and longer.

    None has more than ``most`` samples; where these are under 10 s, each has as many.
    """
    period = round(PERIOD_S * rate_hz)
    speech = np.resize(_babble(min(most, period), rate_hz), most)  # again and again

    def first(seconds: float) -> NDArray[Any]:
        return speech[: round(seconds * rate_hz)]

    cases = [
        Case("padded", _silent_outside(first(10), 0.3, 0.7)),
        Case("gated", _gated(first(20), rate_hz)),
        Case("very quiet", (first(10) / 1024).astype(np.int16)),
        Case("mu-law", mu_law(first(10))),
        Case("mu-law, padded", mu_law(_silent_outside(first(PERIOD_S), 0.4, 0.6))),
    ]
    if most > period:
        cases.append(Case("gated, long", _gated(first(LONGEST_S), rate_hz)))
    return cases


def manifest_cases(manifest: Path, contract: Contract) -> list[Case]:
    """The utterances of a NeMo manifest, as a client would send them.

    Raises :class:`ExportError` for a line that names no audio, or audio that is damaged, too short
    or too long for the model, and for a manifest without any line.
    """
    try:
        cases = [_recorded(entry, contract) for entry in read_manifest(manifest)]
    except ManifestError as error:
        raise ExportError(str(error)) from error
    if not cases:
        raise ExportError(f"the manifest {manifest} has no line: give recordings, one a line")
    return cases


def _recorded(entry: Entry, contract: Contract) -> Case:
    """Raises :class:`ManifestError` or :class:`ExportError`."""
    if isinstance(entry.item, ManifestError):
        raise entry.item
    try:
        audio = load_audio(entry.item, contract.sample_rate_hz, AudioOptions(strict=True))
    except AudioError as error:
        raise ExportError(str(error)) from error
    if not contract.min_samples <= len(audio) <= contract.max_samples:
        raise ExportError(
            f"{entry.name}: the model takes {contract.min_samples} to {contract.max_samples}"
            f" samples, this has {len(audio)}"
        )
    return Case(Path(entry.name).name, audio, recorded=True, text=entry.text())


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


def _silent_outside(audio: NDArray[Any], start: float, stop: float) -> NDArray[Any]:
    """Zeros but for what lies between two shares of the duration."""
    position = np.arange(len(audio)) / len(audio)
    return np.where((position >= start) & (position < stop), audio, 0).astype(np.int16)


def _gated(audio: NDArray[Any], rate_hz: int) -> NDArray[Any]:
    """Zeros in the second half of each second."""
    return np.where(np.arange(len(audio)) % rate_hz < rate_hz // 2, audio, 0).astype(np.int16)


def mu_law(audio: NDArray[Any]) -> NDArray[Any]:
    """Encoded as a telephone does (G.711) and decoded: 4 bits in one of 8 segments."""
    biased = np.minimum(np.abs(audio.astype(np.int32)), 32635) + 132
    step = np.frexp(biased)[1] - 5  # bits below the leading one and the four that are kept
    decoded = ((biased >> step) << step) + (1 << step >> 1) - 132
    return np.asarray(np.sign(audio) * decoded, dtype=np.int16)
