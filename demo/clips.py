"""Make the demo clips: ``python -m demo.clips``.

Sixteen sentences by voices that training never uses; ``demo.prepare`` leaves the sentences out.
Writes FLAC files and ``manifest.jsonl``, with paths relative to it, to ``demo/clips``.
"""

import json
import random

import soundfile

from demo.paths import DEMO
from demo.sentences import TRAINING_SEED, sentences
from demo.synthesis import CLIP_VOICES, SAMPLE_RATE_HZ, Delivery, speak, vary_recording

SEED = 5391
CLIPS = 16
LEAST_WORDS = 4
COMMON_SENTENCES = 2000
"""So many of the first training sentences are avoided; the rest of training avoids the clips."""
IN_TRAINING = ("s t e p h e n", "r a l p h")
"""Sentences that training holds after all (AN4 has the first); later ones take their places."""


def clip_sentences() -> list[str]:
    """``CLIPS`` different sentences of ``LEAST_WORDS`` words or more that training never sees."""
    common = set(sentences(COMMON_SENTENCES, TRAINING_SEED))
    candidates = list(
        dict.fromkeys(
            text
            for text in sentences(10 * CLIPS, SEED)
            if text not in common and len(text.split()) >= LEAST_WORDS
        )
    )
    spares = (text for text in candidates[CLIPS:] if text not in IN_TRAINING)
    return [next(spares) if text in IN_TRAINING else text for text in candidates[:CLIPS]]


def main() -> None:
    """Write the clips and their manifest."""
    folder = DEMO / "clips"
    folder.mkdir(exist_ok=True)
    lines = []
    for index, text in enumerate(clip_sentences()):
        rng = random.Random(f"{SEED} {index}")
        voice = CLIP_VOICES[index % len(CLIP_VOICES)]
        delivery = Delivery(voice, rate=rng.uniform(0.85, 1.15), pitch=rng.uniform(0.85, 1.2))
        audio = vary_recording(speak(text, delivery), rng)
        name = f"clip_{index + 1:02d}.flac"
        soundfile.write(folder / name, audio, SAMPLE_RATE_HZ, subtype="PCM_16")
        entry = {
            "audio_filepath": name,
            "duration": round(len(audio) / SAMPLE_RATE_HZ, 3),
            "text": text,
            "voice": f"{voice.engine} {voice.name}",
        }
        lines.append(json.dumps(entry) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
