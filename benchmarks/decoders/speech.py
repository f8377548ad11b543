"""Speech for decoding benchmarks: a served model's ``log_probs`` of a manifest, and its facts.

The acoustic model runs once; ``client.evaluation.acoustics`` keeps its outputs on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.audio.options import STRICT
from client.decoding import GreedyDecoder
from client.evaluation.acoustic_cache import default_folder
from client.evaluation.acoustics import AcousticOptions, acoustic_models
from client.evaluation.metrics import word_errors
from client.evaluation.tuning.parts import Example, read_examples
from client.language_models import load_language_model
from client.language_models.inspection import fit
from client.segmentation import WINDOW, SegmentationOptions
from client.wire.contract import Contract


@dataclass(frozen=True)
class Speech:
    """Utterances: ``log_probs`` of each, ``float32 [S, V]``, and what was said."""

    contract: Contract
    log_probs: Sequence[NDArray[Any]]
    references: Sequence[str]

    @property
    def audio_s(self) -> float:
        """Seconds of audio, as frames count them."""
        return sum(map(len, self.log_probs)) * self.contract.frame_stride_s

    def part(self, utterances: int) -> "Speech":
        """Its first utterances."""
        return Speech(self.contract, self.log_probs[:utterances], self.references[:utterances])


@dataclass(frozen=True)
class SpeechFacts:
    """What a decoder has to do.

    Shares are of all frames: ``blank_share`` of those whose best token is the blank,
    ``only_blank_share`` of those where pruning leaves nothing else. ``candidates_per_frame`` is
    what it leaves on average, each frame's best included. ``perplexity`` is the language model's,
    of the references.
    """

    name: str
    utterances: int
    words: int
    tokens: int
    frames: int
    audio_s: float
    blank_share: float
    only_blank_share: float
    candidates_per_frame: float
    greedy_errors: int
    greedy_wer: float
    perplexity: float


def load_speech(url: str, model: str, manifests: Sequence[Path]) -> Speech:
    """The utterances of the manifests.

    Raises ``SpeechError`` when a recording cannot be used, and the client's errors when a
    manifest or the server cannot.
    """
    examples: list[Example] = []
    whole = SegmentationOptions(WINDOW)  # each recording is one utterance
    options = AcousticOptions(audio=STRICT, segmentation=whole, cache=default_folder())
    with acoustic_models(url, [model], options) as models:
        for manifest in manifests:
            found, failures = read_examples(manifest, models[model])
            for each in failures:
                raise SpeechError(f"{each.name}: {each.error}")
            examples += found
    return Speech(
        models[model].contract,
        [np.array(example.output.log_probs()) for example in examples],  # out of the mapped files
        [example.reference for example in examples],
    )


def describe_speech(name: str, speech: Speech, lm: Path, token_min_logp: float) -> SpeechFacts:
    """The facts of ``speech`` for a language model, and for pruning below ``token_min_logp``."""
    frames = np.concatenate(speech.log_probs)  # [frames, V]
    best = frames.argmax(axis=1)  # [frames]
    likely = frames >= token_min_logp
    likely[np.arange(len(frames)), best] = True
    candidates = np.count_nonzero(likely, axis=1)  # [frames]
    blank = best == speech.contract.blank
    greedy = GreedyDecoder(speech.contract)
    texts = [greedy.decode(each.argmax(axis=1).astype(np.int32)).text for each in speech.log_probs]
    errors = word_errors(speech.references, texts)
    return SpeechFacts(
        name=name,
        utterances=len(speech.references),
        words=errors.reference,
        tokens=frames.shape[1],
        frames=len(frames),
        audio_s=speech.audio_s,
        blank_share=float(blank.mean()),
        only_blank_share=float((blank & (candidates == 1)).mean()),
        candidates_per_frame=float(candidates.mean()),
        greedy_errors=errors.errors,
        greedy_wer=errors.rate,
        perplexity=fit(load_language_model(lm), speech.references).perplexity,
    )
