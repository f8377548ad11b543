"""Text-to-speech with espeak-ng and flite, made less clean: 16 kHz mono float32 in [-1, 1].

Training and clip voices are disjoint, so that the clips show what the model does with
voices it has not heard.
"""

import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
ESPEAK = "espeak-ng"
FLITE = "flite"

ACCENTS = (
    "en-us", "en-us-nyc", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029",
)  # fmt: skip
TRAINING_VARIANTS = (
    "m1", "m2", "m3", "m4", "m6", "f1", "f2", "f3", "f4", "Alex", "Alicia", "Andrea", "Annie",
    "adam", "benjamin", "belinda", "ed", "Gene", "Jacky", "john", "Lee", "max", "Mario",
    "paul", "quincy", "robert", "steph", "shelby", "klatt", "klatt2", "klatt3", "m5", "m8",
    "Andy", "anika", "antonio", "aunty", "boris", "caleb", "Denis", "Diogo", "edward", "grandma",
    "grandpa", "gustave", "Henrique", "Hugo", "iven", "iven2", "kaukovalta", "marcelo", "Marco",
    "michel", "miguel", "Mike", "Nguyen", "norbert", "pablo", "pedro", "rob", "sandro", "travis",
    "victor", "zac",
)  # fmt: skip
CLIP_VARIANTS = ("m7", "f5", "Michael", "linda", "david", "steph2")


@dataclass(frozen=True)
class Voice:
    """One text-to-speech voice: ``engine`` is ``espeak-ng`` or ``flite``."""

    engine: str
    name: str


TRAINING_VOICES = (
    *(Voice(ESPEAK, f"{accent}+{v}") for accent in ACCENTS for v in TRAINING_VARIANTS),
    *(Voice(FLITE, name) for name in ("awb", "slt", "kal16", "kal") for _ in range(80)),
)
"""espeak-ng's many variants, and flite's few but more natural voices, two in five draws."""

CLIP_VOICES = (
    *(Voice(ESPEAK, f"en-us+{variant}") for variant in CLIP_VARIANTS),
    *(Voice(FLITE, "rms") for _ in range(4)),
)


@dataclass(frozen=True)
class Delivery:
    """How a sentence is spoken: ``rate`` and ``pitch`` are factors around 1."""

    voice: Voice
    rate: float
    pitch: float


def speak(text: str, delivery: Delivery) -> NDArray[Any]:
    """Synthesise lower-case ``text``; float32, shape = (n_samples,), at ``SAMPLE_RATE_HZ``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(_command(text, delivery, path), check=True, capture_output=True)
        audio, rate_hz = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(audio, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)


def _command(text: str, delivery: Delivery, path: Path) -> list[str]:
    words = text.replace("rubout", "rub out").split()
    if delivery.voice.engine == ESPEAK:
        # Single letters are read as words or the British way ("zed") unless given as phonemes.
        spoken = {"a": "[[eI]]", "z": "[[z'i:]]"}
        return [
            ESPEAK, "-v", delivery.voice.name, "-s", str(round(150 * delivery.rate)),
            "-p", str(round(50 * delivery.pitch)), "-w", str(path),
            " ".join(spoken.get(word, word) for word in words),
        ]  # fmt: skip
    spoken = {"a": "ay"}
    return [
        FLITE, "-voice", delivery.voice.name,
        "--setf", f"duration_stretch={1 / delivery.rate:.3f}",
        "--setf", f"int_f0_target_mean={110 * delivery.pitch:.1f}",
        "-t", " ".join(spoken.get(word, word) for word in words), "-o", str(path),
    ]  # fmt: skip


def vary_recording(audio: NDArray[Any], rng: random.Random) -> NDArray[Any]:
    """Add silence at both ends, coloured noise at 8 to 40 dB below speech, and a random gain.

    ``audio`` is float32, shape = (n_samples,); a longer array comes back, peak at most 0.95.
    """
    noise_rng = np.random.default_rng(rng.getrandbits(32))
    ends = [np.zeros(round(rng.uniform(0.05, 0.4) * SAMPLE_RATE_HZ), np.float32) for _ in "ab"]
    audio = np.concatenate([ends[0], audio, ends[1]])
    noise = noise_rng.standard_normal(len(audio)).astype(np.float32)
    if rng.random() < 0.6:
        # A one-pole low-pass gives the falling spectrum of rooms and fans.
        kernel = 0.9 ** np.arange(64, dtype=np.float32)
        noise = np.convolve(noise, kernel, mode="same").astype(np.float32)
    speech_power = float(np.mean(audio**2)) + 1e-9
    snr_db = rng.uniform(8, 40)
    noise *= np.sqrt(speech_power / float(np.mean(noise**2)) / 10 ** (snr_db / 10))
    audio = audio + noise
    peak = 10 ** (rng.uniform(-24, -0.5) / 20)
    return np.asarray(audio * (peak / (np.abs(audio).max() + 1e-9)), dtype=np.float32)


def change_speed(audio: NDArray[Any], factor: float) -> NDArray[Any]:
    """Play ``factor`` times as fast, pitch and all; shape = (n_samples / factor,)."""
    return np.asarray(
        soxr.resample(audio, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ), dtype=np.float32
    )
