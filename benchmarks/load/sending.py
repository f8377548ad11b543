"""What is sent, and when: real recordings, or utterances of drawn lengths cut out of them or noise.

Lengths are ``manifest`` (the recordings as they are), ``librispeech`` or ``uniform:A:B``, all
seeded. Utterances are int16 [N]; drawn ones are views of one long stretch of audio. They are sent
as soon as another is answered, or at times drawn beforehand.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.errors import LoadError
from benchmarks.pipeline import noise
from client.audio import Pcm, load_audio
from client.errors import AsrError
from client.manifests.manifest import read_manifest
from client.wire.contract import Contract

CLOSED: Final = "closed"
OPEN: Final = "open"
MANIFEST: Final = "manifest"
LIBRISPEECH: Final = "librispeech"
UNIFORM: Final = "uniform"
LIBRISPEECH_S: Final = (1.3, 35.0)
_STRETCH_S: Final = 600.0  # of recordings to cut from, at most
_NOISE_S: Final = 60.0

Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True)
class Level:
    """The load: ``value`` requests in flight (closed), or requests a second (open)."""

    kind: str
    value: float

    @property
    def label(self) -> str:
        """In words, for tables."""
        if self.kind == CLOSED:
            return f"{self.value:g} in flight"
        return f"{self.value:g} requests/s"


def poisson_times(rate: float, seconds: float, seed: int) -> list[float]:
    """Offsets in seconds, ascending, of independent arrivals at ``rate`` a second for ``seconds``.

    Drawn ahead of time: a server that stalls does not slow down those who want something of it.
    """
    random = np.random.default_rng(seed)
    times: list[float] = []
    last_s = float(random.exponential(1 / rate))
    while last_s < seconds:
        times.append(last_s)
        last_s += float(random.exponential(1 / rate))
    return times


@dataclass(frozen=True)
class Choice:
    """What to send: ``lengths`` as on the command line, from ``manifest``, ``count`` drawn."""

    lengths: str
    manifest: Path | None = None
    count: int = 256
    seed: int = 0


@dataclass(frozen=True)
class Utterances:
    """Audio to send, int16 [N] each, and in words where it is from; ``left_out`` did not fit."""

    audio: Sequence[Pcm]
    sample_rate_hz: int
    source: str
    left_out: int = 0

    @property
    def durations_s(self) -> list[float]:
        """Seconds of each."""
        return [len(samples) / self.sample_rate_hz for samples in self.audio]

    def endless(self, seed: int) -> Iterator[Pcm]:
        """All of them in a shuffled order, again and again, each time in another."""
        random = np.random.default_rng(seed)
        while True:
            for index in random.permutation(len(self.audio)):
                yield self.audio[index]


def choose(choice: Choice, contract: Contract) -> Utterances:
    """The utterances that a model with this ``contract`` is sent.

    Raises ``LoadError`` when there are none, or the choice makes no sense.
    """
    recordings = _recordings(choice.manifest, contract) if choice.manifest is not None else []
    if choice.lengths == MANIFEST:
        if choice.manifest is None:
            raise LoadError("lengths of a manifest: give one with --manifest M.jsonl")
        return _as_they_are(recordings, choice.manifest, contract)
    durations = draw(choice, contract)
    rate_hz = contract.sample_rate_hz
    if choice.manifest is None:
        stretch, source = noise(round(_NOISE_S * rate_hz)), "noise"
    else:
        stretch = np.concatenate(recordings)[: round(_STRETCH_S * rate_hz)]
        source = f"cut out of the recordings of {choice.manifest.name}"
    random = np.random.default_rng(choice.seed + 1)
    counts = [round(duration_s * rate_hz) for duration_s in durations]
    stretch = np.tile(stretch, math.ceil(max(counts) / len(stretch)))
    starts = (random.integers(len(stretch) - count + 1) for count in counts)
    audio = [stretch[start : start + count] for start, count in zip(starts, counts, strict=True)]
    return Utterances(audio, rate_hz, f"{choice.lengths}, {source}")


def draw(choice: Choice, contract: Contract) -> list[float]:
    """``count`` lengths in seconds, within what the model takes."""
    shape = _shape(choice.lengths)
    random = np.random.default_rng(choice.seed)
    low_s = contract.min_samples / contract.sample_rate_hz
    high_s = contract.max_samples / contract.sample_rate_hz
    return [min(max(shape(random), low_s), high_s) for _ in range(choice.count)]


def librispeech_length(random: np.random.Generator) -> float:
    """A length in seconds, in the shape of LibriSpeech's training sets; none of its data is used.

    They are 961 hours in 281,241 utterances, so 12.3 s in the mean, at most 35 s (Panayotov et al.,
    2015), because long recordings were split at pauses near 15 s: most are 12 to 16 s, what was
    left over is shorter, and few are longer. The weights below are ours, chosen to that mean.
    """
    low_s, high_s = LIBRISPEECH_S
    part = random.random()
    if part < 0.63:
        length_s = random.normal(14.2, 1.2)
    elif part < 0.98:
        length_s = random.triangular(low_s, 12.0, 13.0)
    else:
        length_s = 16.0 + random.exponential(3.5)
    return float(min(max(length_s, low_s), high_s))


def _shape(lengths: str) -> Draw:
    if lengths == LIBRISPEECH:
        return librispeech_length
    name, *bounds = lengths.split(":")
    try:
        low_s, high_s = map(float, bounds)
    except ValueError:
        low_s, high_s = math.nan, math.nan
    if name != UNIFORM or not 0 < low_s <= high_s < math.inf:
        raise LoadError(
            f"lengths are {lengths!r}, expected {MANIFEST}, {LIBRISPEECH} or uniform:A:B with "
            "seconds 0 < A <= B"
        )
    return lambda random: float(random.uniform(low_s, high_s))


def _recordings(manifest: Path, contract: Contract) -> list[Pcm]:
    recordings = []
    for entry in read_manifest(manifest):
        if isinstance(entry.item, AsrError):
            raise entry.item
        recordings.append(load_audio(entry.item, contract.sample_rate_hz))
    if not recordings:
        raise LoadError(f"{manifest}: no recordings, expected some")
    return recordings


def _as_they_are(recordings: Sequence[Pcm], manifest: Path, contract: Contract) -> Utterances:
    fitting = [
        samples
        for samples in recordings
        if contract.min_samples <= len(samples) <= contract.max_samples
    ]
    if not fitting:
        raise LoadError(
            f"{manifest}: no recording has a length that the model takes, which is "
            f"{contract.min_samples} to {contract.max_samples} samples"
        )
    source = f"recordings of {manifest.name}"
    return Utterances(fitting, contract.sample_rate_hz, source, len(recordings) - len(fitting))
