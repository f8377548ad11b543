"""Recordings of things that are no speech, of any length, always the same for the same seed.

A ``Noise`` makes blocks of one second or more that can follow one another, at any level;
``recording`` brings them to theirs: root mean square relative to full scale, in dB, over the first
minute.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.recordings.sessions import Spoken
from client.audio import Pcm
from client.audio.conversion import FULL_SCALE

_HEAD_S: Final = 60
_BLOCK_S: Final = 10
_HUM_HZ: Final = 50
_HUM_HARMONICS: Final = 20
_HUM_NOISE: Final = 0.05  # of the fundamental's amplitude
_BEAT_S: Final = 0.5  # 120 beats a minute
_BEATS: Final = 4
_BARS: Final = 8
_CHORDS: Final = ((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12))
_SCALE: Final = (0, 2, 4, 7, 9, 12, 14, 16)
_NOTE_HARMONICS: Final = 8
_SYLLABLE_S: Final = 0.25  # 4 Hz
_VOICES: Final = 6

Samples = NDArray[np.float64]
Blocks = Iterator[Samples]


@dataclass(frozen=True)
class Noise:
    """A kind of noise: its name, its level (``None`` for silence), and what makes its blocks.

    ``blocks`` gets the sample rate in Hz and a source of chance, and gives ``float64 [n]`` without
    an end.
    """

    name: str
    level_db: float | None
    blocks: Callable[[int, np.random.Generator], Blocks]


def noises(utterances: Sequence[Spoken] = ()) -> list[Noise]:
    """All kinds; babble only where there are ``utterances`` to make it of."""
    found = [
        Noise("digital silence", None, _silence),
        Noise("hiss, -64 dB", -64.0, _white),
        Noise("hiss, -30 dB", -30.0, _white),
        Noise("mains hum", -35.0, _hum),
        Noise("music", -24.0, _music),
        Noise("speech's spectrum, 4 Hz", -26.0, _speech_shaped),
    ]
    if utterances:
        voices = [each.samples for each in utterances]
        found.append(Noise("babble, reversed", -26.0, lambda rate, rng: _babble(voices, rate, rng)))
    return found


def recording(noise: Noise, rate_hz: int, length_s: float, seed: int) -> Pcm:
    """So many seconds of it, ``int16 [n]``."""
    blocks = noise.blocks(rate_hz, np.random.default_rng(seed))
    head = [next(blocks)]
    while sum(map(len, head)) < _HEAD_S * rate_hz:
        head.append(next(blocks))
    gain = 1.0 if noise.level_db is None else _gain(np.concatenate(head), noise.level_db)
    samples = np.empty(round(length_s * rate_hz), np.int16)
    at = 0
    for block in chain(head, blocks):
        part = samples[at : at + len(block)]
        part[:] = np.rint(np.clip(gain * block[: len(part)], -FULL_SCALE, FULL_SCALE - 1))
        at += len(block)
        if at >= len(samples):
            break
    return samples


def _gain(samples: Samples, level_db: float) -> float:
    return FULL_SCALE * 10 ** (level_db / 20) / math.sqrt(float(np.mean(np.square(samples))))


def _silence(rate_hz: int, _rng: np.random.Generator) -> Blocks:
    while True:
        yield np.zeros(_BLOCK_S * rate_hz)


def _white(rate_hz: int, rng: np.random.Generator) -> Blocks:
    while True:
        yield rng.standard_normal(_BLOCK_S * rate_hz)


def _hum(rate_hz: int, rng: np.random.Generator) -> Blocks:
    """50 Hz and its harmonics, in whole seconds, so that blocks join; and noise."""
    n_harmonics = min(_HUM_HARMONICS, (rate_hz // 2 - 1) // _HUM_HZ)
    numbers = np.arange(1, n_harmonics + 1)
    heights = rng.uniform(0.3, 1.0, n_harmonics) / numbers
    phases = rng.uniform(0, 2 * np.pi, n_harmonics)
    times_s = np.arange(rate_hz) / rate_hz
    waves = np.sin(2 * np.pi * _HUM_HZ * numbers[:, None] * times_s + phases[:, None])
    second = heights @ waves  # [rate_hz]
    while True:
        noise = rng.standard_normal(_BLOCK_S * rate_hz)
        yield np.tile(second, _BLOCK_S) + _HUM_NOISE * noise


def _music(rate_hz: int, rng: np.random.Generator) -> Blocks:
    """Bars of chords, a melody in their key, and drums; the key changes every few bars."""
    while True:
        root = int(rng.integers(48, 60))  # MIDI's numbers: C3 to B3
        for bar in range(_BARS):
            chord = [root + step for step in _CHORDS[bar % len(_CHORDS)]]
            yield np.concatenate([_beat(root, chord, beat, rate_hz, rng) for beat in range(_BEATS)])


def _beat(
    root: int, chord: Sequence[int], beat: int, rate_hz: int, rng: np.random.Generator
) -> Samples:
    length = round(_BEAT_S * rate_hz)
    samples: Samples = np.sum([_note(pitch, length, rate_hz) for pitch in chord], axis=0)
    half = length // 2
    for start, end in ((0, half), (half, length)):
        pitch = root + 12 + int(rng.choice(_SCALE))
        samples[start:end] += 1.5 * _note(pitch, end - start, rate_hz)
    decay_s, height = ((0.12, 1.2), (0.05, 0.8))[beat % 2]
    times_s = np.arange(length) / rate_hz
    samples += height * np.exp(-times_s / decay_s) * rng.standard_normal(length)  # a drum
    return samples


@cache
def _note(pitch: int, length: int, rate_hz: int) -> Samples:
    """A struck string: harmonics that decay, the higher the faster; silent at both ends."""
    times_s = np.arange(length) / rate_hz
    fundamental_hz = 440 * 2 ** ((pitch - 69) / 12)
    numbers = np.arange(1, _NOTE_HARMONICS + 1)
    numbers = numbers[numbers * fundamental_hz < rate_hz / 2, None]
    waves = np.sin(2 * np.pi * fundamental_hz * numbers * times_s) / numbers
    ends = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.005)
    note: Samples = ends * np.sum(waves * np.exp(-times_s * (2 + numbers)), axis=0)
    return note


def _speech_shaped(rate_hz: int, rng: np.random.Generator) -> Blocks:
    """Noise as loud in each frequency as speech is over time, in syllables of differing height.

    From 500 Hz on it falls by 9 dB an octave (Byrne et al., "An international comparison of
    long-term average speech spectra", 1994).
    """
    length = _BLOCK_S * rate_hz
    hz = np.fft.rfftfreq(length, 1 / rate_hz)
    spectrum = (hz / 100) ** 2 / (1 + (hz / 100) ** 2) / (1 + (hz / 500) ** 1.5)
    n_syllables = round(_BLOCK_S / _SYLLABLE_S)
    swell = np.sin(np.pi * np.arange(length // n_syllables) * n_syllables / length) ** 2
    while True:
        noise = np.fft.irfft(spectrum * np.fft.rfft(rng.standard_normal(length)), length)
        heights = rng.uniform(0.1, 1.0, n_syllables)
        # Silent at the ends of each syllable, and so of the block.
        yield noise * np.outer(heights, swell).ravel()


def _babble(utterances: Sequence[Pcm], rate_hz: int, rng: np.random.Generator) -> Blocks:
    """Several voices at once, equally loud, backwards: speech in all but its words."""
    while True:
        yield np.sum([_voice(utterances, _BLOCK_S * rate_hz, rng) for _ in range(_VOICES)], axis=0)


def _voice(utterances: Sequence[Pcm], length: int, rng: np.random.Generator) -> Samples:
    pieces: list[Samples] = []
    missing = length
    while missing > 0:
        piece = utterances[int(rng.integers(len(utterances)))][::-1].astype(np.float64)
        pieces.append(piece / max(1.0, math.sqrt(float(np.mean(np.square(piece))))))
        missing -= len(piece)
    return np.concatenate(pieces)[:length]
