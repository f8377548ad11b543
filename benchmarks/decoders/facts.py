"""What there is to decode: how sure the frames are, and what greedy decoding makes of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.speech import Speech
from client.decoding import GreedyDecoder
from client.evaluation.metrics import word_errors
from client.language_models import load_language_model
from client.language_models.inspection import fit


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
        perplexity=fit(load_language_model(lm).kenlm, speech.references).perplexity,
    )
