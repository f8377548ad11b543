"""WAV files that every peer reads: clips of given lengths, and a manifest's utterances.

Written once, 16-bit at 16 kHz, into a folder named after what is in it.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.audio import Clip, load_audio
from client.errors import ManifestError
from client.manifests.manifest import read_manifest, with_text

RATE_HZ: Final = 16_000

Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class ClipOptions:
    """``count`` clips, lengths drawn evenly from ``shortest_s`` to ``longest_s`` seconds."""

    count: int = 64
    shortest_s: float = 1.5
    longest_s: float = 15.0
    seed: int = 0


@dataclass(frozen=True)
class Audio:
    """WAV files in order, how long they are together, and what was said if that is known."""

    files: tuple[str, ...]
    audio_s: float
    references: tuple[str, ...] = ()


def clips(manifest: Path, options: ClipOptions, cache: Path) -> Audio:
    """Clips of the manifest's utterances: some in a row, cut where the length is reached.

    Raises ``SpeechError`` when the manifest has none.
    """
    utterances = [item for item, _ in _utterances(manifest)]
    return _written(cache, f"clips-{_key(manifest, options)}", _clips(utterances, options))


def utterances_of(manifest: Path, cache: Path) -> Audio:
    """The manifest's utterances as they are, with their references; raises as ``clips``."""
    found = list(_utterances(manifest))
    recordings = (load_audio(item, RATE_HZ) for item, _ in found)
    audio = _written(cache, f"{manifest.stem}-{_key(manifest, None)}", recordings)
    return Audio(audio.files, audio.audio_s, tuple(text for _, text in found))


def _clips(utterances: Sequence[Clip], options: ClipOptions) -> Iterator[Pcm]:
    rng = random.Random(options.seed)  # noqa: S311  # nothing secret
    for _ in range(options.count):
        length = round(rng.uniform(options.shortest_s, options.longest_s) * RATE_HZ)
        pieces: list[Pcm] = []
        while sum(map(len, pieces)) < length:
            pieces.append(load_audio(rng.choice(utterances), RATE_HZ))
        yield np.concatenate(pieces)[:length]


def _utterances(manifest: Path) -> Iterator[tuple[Clip, str]]:
    empty = True
    try:
        for entry in with_text(read_manifest(manifest)):
            if not isinstance(entry.item, Clip):
                raise SpeechError(f"{entry.name}: {entry.item}")
            empty = False
            yield entry.item, str(entry.fields["text"])
    except ManifestError as error:
        raise SpeechError(str(error)) from error
    if empty:
        raise SpeechError(f"{manifest}: no utterances, expected some")


def _key(manifest: Path, options: Any) -> str:
    """Short, and another one for other contents."""
    described = f"{manifest.resolve()} {options}".encode()
    return hashlib.sha256(described + manifest.read_bytes()).hexdigest()[:12]


def _written(cache: Path, name: str, recordings: Iterator[Pcm]) -> Audio:
    """The folder ``name``, written if it is not there, whole or not at all."""
    folder = cache / name
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as scratch:
            part = Path(scratch) / name
            part.mkdir()
            for number, samples in enumerate(recordings):
                soundfile.write(part / f"{number:04}.wav", samples, RATE_HZ, subtype="PCM_16")
            part.rename(folder)
    files = sorted(folder.glob("*.wav"))
    frames = sum(soundfile.info(file).frames for file in files)
    return Audio(tuple(str(file.resolve()) for file in files), frames / RATE_HZ)
