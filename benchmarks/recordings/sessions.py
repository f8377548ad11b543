"""Recordings of any length, made of a manifest's utterances one after another.

Between them are pauses, filled with quiet white noise (``hiss``), or with noise that has level and
spectrum of the quietest piece of the utterance before (``room``). Digital silence would not do: no
microphone records it, and it moves the mean that features are normalised by.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.audio import Pcm, load_audio
from client.errors import AsrError
from client.manifests.manifest import Entry, read_manifest, with_text

HISS: Final = "hiss"
ROOM: Final = "room"
PAUSES: Final = (HISS, ROOM)
"""What can fill them."""
_HISS_LEVEL: Final = 20.0  # of 32,768: -64 dB
_QUIET_S: Final = 0.1


@dataclass(frozen=True)
class Spoken:
    """An utterance: its samples, ``int16 [n]``, and its text."""

    samples: Pcm
    text: str


@dataclass(frozen=True)
class Session:
    """Utterances in one recording, and the sample that each begins at."""

    samples: Pcm
    utterances: Sequence[Spoken]
    starts: Sequence[int]

    @property
    def text(self) -> str:
        """What is said, all of it."""
        return " ".join(each.text for each in self.utterances)


@dataclass(frozen=True)
class Joining:
    """How utterances follow one another: pauses between two lengths, drawn by ``seed``.

    ``noise`` is what fills them, ``HISS`` or ``ROOM``.
    """

    rate_hz: int
    pauses_s: tuple[float, float]
    noise: str = HISS
    seed: int = 0


def load_utterances(manifest: Path, rate_hz: int, many: int | None = None) -> list[Spoken]:
    """The manifest's utterances in the order of their files, which keeps speakers together.

    Only the first so ``many``, or all. Raises ``SpeechError`` for one that cannot be used, and
    where there are none.
    """
    entries = sorted(with_text(read_manifest(manifest)), key=lambda entry: Path(entry.name).stem)
    if not entries:
        raise SpeechError(f"{manifest}: holds no recordings, expected JSON Lines with text")
    return [_spoken(entry, rate_hz) for entry in entries[:many]]


def join(utterances: Iterable[Spoken], joining: Joining) -> Session:
    """All of the utterances in one recording."""
    rng = np.random.default_rng(joining.seed)
    pieces: list[Pcm] = []
    spoken: list[Spoken] = []
    starts: list[int] = []
    length = 0
    for each in utterances:
        pause = _pause(each.samples, joining, rng)
        spoken.append(each)
        starts.append(length)
        pieces += [each.samples, pause]
        length += len(each.samples) + len(pause)
    return Session(np.concatenate(pieces), spoken, starts)


def at_least(utterances: Sequence[Spoken], joining: Joining, least_s: float) -> Session:
    """The utterances again and again, until they and their pauses take ``least_s``."""
    pause_s = sum(joining.pauses_s) / 2
    lengths_s = [len(each.samples) / joining.rate_hz + pause_s for each in utterances]
    ends_s = np.cumsum(np.tile(lengths_s, 1 + ceil(least_s / sum(lengths_s))))
    n_times = 1 + int(np.searchsorted(ends_s, least_s))
    return join(islice(cycle(utterances), n_times), joining)


def at_most(utterances: Iterable[Spoken], joining: Joining, most_s: float) -> Iterator[Session]:
    """Each utterance once, in recordings of at most ``most_s`` that are joined one at a time."""
    group: list[Spoken] = []
    length_s = 0.0
    for each in utterances:
        added_s = len(each.samples) / joining.rate_hz + joining.pauses_s[1]
        if group and length_s + added_s > most_s:
            yield join(group, joining)
            group, length_s = [], 0.0
        group.append(each)
        length_s += added_s
    yield join(group, joining)


def hiss(length: int, rng: np.random.Generator) -> Pcm:
    """White noise as of a quiet microphone, ``int16 [length]``."""
    return _as_pcm(_HISS_LEVEL * rng.standard_normal(length))


def _pause(samples: Pcm, joining: Joining, rng: np.random.Generator) -> Pcm:
    length = round(rng.uniform(*joining.pauses_s) * joining.rate_hz)
    if joining.noise == HISS:
        return hiss(length, rng)
    return _as_pcm(_room_noise(samples, length, round(_QUIET_S * joining.rate_hz), rng))


def _as_pcm(noise: NDArray[np.float64]) -> Pcm:
    pcm: Pcm = np.rint(noise).astype(np.int16)
    return pcm


def _room_noise(
    samples: Pcm, length: int, quiet_length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Noise with level and spectrum of the quietest piece of ``samples``, ``[length]``."""
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    quiet_length = min(len(samples), quiet_length)
    start = int(np.argmin(energy[quiet_length:] - energy[:-quiet_length]))
    quiet = samples[start : start + quiet_length].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(quiet * np.hanning(quiet_length)))
    n_bins = length // 2 + 1
    places = np.linspace(0, len(spectrum) - 1, n_bins)
    wanted = np.interp(places, np.arange(len(spectrum)), spectrum)
    noise = np.fft.irfft(wanted * np.exp(2j * np.pi * rng.random(n_bins)), length)  # [length]
    level = np.sqrt(np.mean(np.square(quiet)) / max(float(np.mean(np.square(noise))), 1e-9))
    scaled: NDArray[np.float64] = level * noise
    return scaled


def _spoken(entry: Entry, rate_hz: int) -> Spoken:
    if isinstance(entry.item, Exception):
        raise SpeechError(f"{entry.name}: {entry.item}")
    try:
        return Spoken(load_audio(entry.item, rate_hz), entry.fields["text"])
    except AsrError as error:
        raise SpeechError(f"{entry.name}: {error}") from error
