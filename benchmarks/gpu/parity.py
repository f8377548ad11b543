"""How far each variant is from float32 on this machine's CPU, on the same weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.gpu.variants import Contestants, Variant
from benchmarks.pipeline import Array, host, noise
from client.wire.contract import FEATURES, FEATURES_LENGTH, LOG_PROBS, LOG_PROBS_LENGTH

SECONDS: Final = (8.0, 5.0, 2.37, 1.0)
"""The utterances, longest first: one batch of mixed lengths."""
DECIDED: Final = 2e-3
"""Where the best two scores are closer than this, either token is right."""


@dataclass(frozen=True)
class Parity:
    """One variant against float32 on the CPU, over all frames within the utterances' lengths.

    ``max_abs`` is of log_probs, None when any is not finite. ``tokens_differ`` counts frames with
    another best token where the best two of the reference are more than ``DECIDED`` apart.
    ``batch_max_abs`` is between an utterance in the batch and alone.
    """

    variant: str
    finite: bool
    max_abs: float | None
    frames: int
    tokens_differ: int
    distinct_tokens: int
    batch_max_abs: float | None


def compare(
    reference: Contestants, contestants: Contestants, variants: Sequence[Variant], rate_hz: int
) -> Iterator[Parity]:
    """Compare each variant with ``reference``, the same model on the CPU."""
    utterances = [noise(round(seconds * rate_hz), seed) for seed, seconds in enumerate(SECONDS)]
    features = reference.features(utterances)
    pipeline = reference.pipeline("fp32")
    outputs = host(pipeline.acoustic(pipeline.values(features)), (LOG_PROBS, LOG_PROBS_LENGTH))
    lengths = outputs[LOG_PROBS_LENGTH][:, 0].tolist()  # [B]
    expected = _trimmed(outputs[LOG_PROBS], lengths)
    for variant in variants:
        actual = _trimmed(contestants.log_probs(variant, features), lengths)
        alone = [
            contestants.log_probs(variant, utterance)[0, :length]
            for utterance, length in zip(_each(features), lengths, strict=True)
        ]
        yield compared(variant.name, expected, actual, alone)


def compared(
    name: str, expected: Sequence[Array], actual: Sequence[Array], alone: Sequence[Array]
) -> Parity:
    """The figures for log_probs [S, V] of each utterance: reference, in a batch, and alone."""
    joined, other, single = (np.concatenate(part) for part in (expected, actual, alone))
    finite = bool(np.isfinite(other).all() and np.isfinite(single).all())
    best_two = np.sort(joined, axis=1)[:, -2:]
    decided = best_two[:, 1] - best_two[:, 0] > DECIDED
    differ = (joined.argmax(1) != other.argmax(1)) & decided
    return Parity(
        variant=name,
        finite=finite,
        max_abs=float(np.abs(joined - other).max()) if finite else None,
        frames=len(joined),
        tokens_differ=int(differ.sum()),
        distinct_tokens=len(np.unique(joined.argmax(1))),
        batch_max_abs=float(np.abs(single - other).max()) if finite else None,
    )


def _trimmed(batch: Array, lengths: Sequence[int]) -> list[Array]:
    """``batch`` [B, S, V] as one [S, V] for each utterance."""
    return [scores[:length] for scores, length in zip(batch, lengths, strict=True)]


def _each(features: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Each utterance of a batch alone, without padding."""
    for values, length in zip(features[FEATURES], features[FEATURES_LENGTH], strict=True):
        yield {
            FEATURES: np.ascontiguousarray(values[None, :, : int(length[0])]),
            FEATURES_LENGTH: length[None],
        }
