"""Make the training data: ``python -m demo.prepare``.

Reads AN4 and the spoken digits from ``SPEECH_DATA``, writes audio and NeMo manifests to
``demo/data``. Every random choice hangs on a fixed seed. AN4's ``dev`` and ``test`` lists,
the digits' takes 0 to 4 and the clips' sentences never enter ``train.jsonl``.
"""

import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from demo.clips import clip_sentences
from demo.paths import GENERATED, SPEECH_DATA
from demo.sentences import DIGITS, TRAINING_SEED, sentences
from demo.synthesis import (
    SAMPLE_RATE_HZ,
    TRAINING_VOICES,
    Delivery,
    change_speed,
    speak,
    vary_recording,
)

SYNTHETIC_SENTENCES = 6000
DIGIT_STRINGS = 1200
HELD_OUT_DIGIT_STRINGS = 100
HELD_OUT_TAKES = range(5)
SPEEDS = (0.9, 1.0, 1.1)

Entry = dict[str, str | float]
Takes = dict[str, list[Path]]
PROGRESS = Console(stderr=True)


def main() -> None:
    """Write every part, then the manifests that name them."""
    if not SPEECH_DATA.is_dir():
        sys.exit(f"no speech data at {SPEECH_DATA}: set SPEECH_DATA to the folder with an4/, fsdd/")
    takes, held_out_takes = digit_takes()
    held_out = [
        _write_audio(
            f"digits_held_out/{index:05d}.wav", *held_out_digit_string(index, held_out_takes)
        )
        for index in range(HELD_OUT_DIGIT_STRINGS)
    ]
    digits = _parallel(DIGIT_STRINGS, lambda index: _digits(index, takes), "digit strings")
    texts = training_sentences()
    synthetic = _parallel(
        len(texts), lambda index: _synthetic(index, texts[index]), "synthetic speech"
    )
    an4 = list(_an4_at_speeds())
    _write_manifest("digits_held_out.jsonl", held_out)
    _write_manifest("dev.jsonl", _an4_entries("dev"))
    held_out_texts = set(clip_sentences())
    train = [entry for entry in (*an4, *digits, *synthetic) if entry["text"] not in held_out_texts]
    _write_manifest("train.jsonl", train)
    for name, part in (("AN4", an4), ("digit strings", digits), ("synthetic", synthetic)):
        hours = sum(float(entry["duration"]) for entry in part) / 3600
        print(f"{name:14} {len(part):5} utterances {hours:5.2f} h")


def training_sentences() -> list[str]:
    """The sentences of the synthetic speech, without those of the clips."""
    held_out = set(clip_sentences())
    return [text for text in sentences(SYNTHETIC_SENTENCES, TRAINING_SEED) if text not in held_out]


def _parallel(count: int, make: Callable[[int], Entry], name: str) -> list[Entry]:
    with ThreadPoolExecutor() as pool:
        return list(track(pool.map(make, range(count)), name, count, console=PROGRESS))


def _synthetic(index: int, text: str) -> Entry:
    rng = random.Random(f"{TRAINING_SEED} synthetic {index}")
    delivery = Delivery(
        rng.choice(TRAINING_VOICES), rate=rng.uniform(0.75, 1.35), pitch=rng.uniform(0.7, 1.4)
    )
    speech = change_speed(speak(text, delivery), rng.uniform(0.88, 1.14))
    audio = vary_recording(speech, rng)
    return _write_audio(f"synthetic/{index:05d}.wav", audio, text)


def digit_takes() -> tuple[Takes, Takes]:
    """Recordings of spoken digits by speaker: those to train on, and those held out."""
    training: Takes = defaultdict(list)
    held_out: Takes = defaultdict(list)
    for path in sorted((SPEECH_DATA / "fsdd" / "recordings").glob("*.wav")):
        _, speaker, take = path.stem.split("_")
        (held_out if int(take) in HELD_OUT_TAKES else training)[speaker].append(path)
    return training, held_out


def digit_string(rng: random.Random, takes: Takes) -> tuple[NDArray[Any], str]:
    """One speaker's takes in a row, 1 to 8 of them, with silences of up to 0.3 s after each.

    Float32 audio, shape = (n_samples,), at ``SAMPLE_RATE_HZ``, and what is said.
    """
    chosen = rng.choices(takes[rng.choice(sorted(takes))], k=rng.randint(1, 8))
    pieces: list[NDArray[Any]] = []
    for path in chosen:
        audio, rate_hz = soundfile.read(path, dtype="float32")
        pause = np.zeros(round(rng.uniform(0.02, 0.3) * SAMPLE_RATE_HZ), np.float32)
        pieces += [soxr.resample(audio, rate_hz, SAMPLE_RATE_HZ), pause]
    return np.concatenate(pieces), " ".join(DIGITS[int(path.name[0])] for path in chosen)


def held_out_digit_string(index: int, takes: Takes) -> tuple[NDArray[Any], str]:
    """The test string ``index``, below ``HELD_OUT_DIGIT_STRINGS``, from held-out ``takes``."""
    return digit_string(random.Random(f"{TRAINING_SEED} digits_held_out {index}"), takes)


def _digits(index: int, takes: Takes) -> Entry:
    rng = random.Random(f"{TRAINING_SEED} digits {index}")
    audio, text = digit_string(rng, takes)
    audio = vary_recording(change_speed(audio, rng.uniform(0.88, 1.12)), rng)
    return _write_audio(f"digits/{index:05d}.wav", audio, text)


def _an4_entries(split: str) -> list[Entry]:
    manifest = SPEECH_DATA / "an4" / f"{split}_manifest.json"
    entries: list[Entry] = [json.loads(line) for line in manifest.read_text().splitlines()]
    for entry in entries:
        entry["audio_filepath"] = str(manifest.parent / str(entry["audio_filepath"]))
    return entries


def _an4_at_speeds() -> Iterator[Entry]:
    for entry in track(_an4_entries("train"), "AN4 at three speeds", console=PROGRESS):
        path = Path(str(entry["audio_filepath"]))
        audio, _ = soundfile.read(path, dtype="float32")
        for speed in SPEEDS:
            yield _write_audio(
                f"an4/{path.stem}_{speed}.wav", change_speed(audio, speed), str(entry["text"])
            )


def _write_audio(name: str, audio: NDArray[Any], text: str) -> Entry:
    path = GENERATED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, SAMPLE_RATE_HZ, subtype="PCM_16")
    return {"audio_filepath": str(path), "duration": len(audio) / SAMPLE_RATE_HZ, "text": text}


def _write_manifest(name: str, entries: list[Entry]) -> None:
    lines = (json.dumps(entry) + "\n" for entry in entries)
    (GENERATED / name).write_text("".join(lines))


if __name__ == "__main__":
    main()
