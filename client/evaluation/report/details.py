"""What is drawn of the utterances with most errors, as JSON for the page's script."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...audio import AudioOptions, load_audio
from ...errors import AudioError
from ...wire.contract import Contract
from ..result import Evaluation, Utterance
from ..spelling import Spell
from .image import heat_map
from .options import ReportOptions
from .posteriorgram import posteriorgram
from .spectrogram import mel_spectrogram

LogProbs: TypeAlias = Callable[[Utterance, str], NDArray[Any] | None]
"""An utterance's ``log_probs [S, V]`` by the model of this name, where there are any."""


def details(
    evaluation: Evaluation, log_probs: LogProbs, options: ReportOptions
) -> dict[int, dict[str, Any]]:
    """Of the worst utterances, by their place."""
    contracts = list(evaluation.contracts.items())
    if not contracts:
        return {}
    spell = {model: options.tokenizers.spell(contract) for model, contract in contracts}
    return {
        place: {
            "spectrogram": _spectrogram(
                evaluation.utterances[place], contracts[0][1], options.audio
            ),
            "models": [
                _posteriors(evaluation.utterances[place], model, outputs, contract, spell[model])
                for model, contract in contracts
                if (outputs := log_probs(evaluation.utterances[place], model)) is not None
                and len(outputs)
            ],
        }
        for place in _worst(evaluation.utterances, options)
    }


def _worst(utterances: Sequence[Utterance], options: ReportOptions) -> list[int]:
    errors = [sum(each.words.errors for each in utterance.recognized) for utterance in utterances]
    places = [
        place
        for place, utterance in enumerate(utterances)
        if utterance.duration_s <= options.longest_detailed_s
    ]
    return sorted(places, key=lambda place: -errors[place])[: options.detailed]


def _spectrogram(utterance: Utterance, contract: Contract, options: AudioOptions) -> str | None:
    try:
        samples = load_audio(utterance.clip, contract.sample_rate_hz, options, lambda _: None)
    except AudioError:  # it was there when it was transcribed; the page tells when it is played
        return None
    return heat_map(mel_spectrogram(samples, contract.sample_rate_hz, contract.feature_stride_s))


def _posteriors(
    utterance: Utterance,
    model: str,
    log_probs: NDArray[Any],
    contract: Contract,
    spell: Spell | None,
) -> dict[str, Any]:
    reference = (spell(utterance.reference) if spell else None) or []
    shown = posteriorgram(log_probs, contract, reference, utterance.duration_s)
    return {
        "model": model,
        "seconds": round(len(log_probs) * contract.frame_stride_s, 3),
        "frames": len(log_probs),
        "tokens": shown.tokens,
        "image": heat_map(np.sqrt(shown.probabilities)),  # so that second choices can be seen
        "marks": list(chain.from_iterable(shown.marks)),
        "words": [
            [word.text, round(word.start_s, 3), round(word.end_s, 3)] for word in shown.words
        ],
    }
