"""What a repository declares of a checkpoint: the tensors of its graphs, and the contract."""

import hashlib
from dataclasses import replace
from importlib.metadata import version
from typing import Final

from client.wire.contract import CONTRACT_VERSION, Contract
from export.checkpoint import Checkpoint
from export.errors import ExportError
from export.tensors import MAX_DURATION_S, Pipeline, pipeline

DISTRIBUTION: Final = "nemo-ctc-triton"
MIN_FRAMES: Final = 2
"""Normalisation divides by the frames minus one."""


def pipeline_of(checkpoint: Checkpoint) -> Pipeline:
    """The declared tensors of the graphs of ``checkpoint``."""
    return pipeline(
        features=checkpoint.model.preprocessor.featurizer.nfilt,
        channels=checkpoint.head.decoder_layers[0].in_channels,
        vocabulary_size=checkpoint.head.num_classes_with_blank,
    )


def contract_of(
    checkpoint: Checkpoint, precision: str = "fp32", max_duration_s: float | None = None
) -> Contract:
    """What clients will be told of ``checkpoint``; by default its family's longest utterance.

    Raises :class:`ExportError` when that is shorter than the shortest, or beyond
    ``MAX_DURATION_S``.
    """
    rate_hz = checkpoint.sample_rate_hz
    feature_stride_s = checkpoint.hop_samples / rate_hz
    if max_duration_s is None:
        max_duration_s = checkpoint.family.max_duration_s(checkpoint.model.encoder)
    # torch centres an odd window a sample later, so each frame takes one more.
    odd = checkpoint.model.preprocessor.featurizer.n_fft % 2
    min_samples = MIN_FRAMES * checkpoint.hop_samples + odd
    if not min_samples / rate_hz <= max_duration_s <= MAX_DURATION_S:
        raise ExportError(
            f"the longest utterance is to be {max_duration_s:g} s, expected"
            f" {min_samples / rate_hz:g} to {MAX_DURATION_S} s"
        )
    contract = Contract(
        version=CONTRACT_VERSION,
        audio_type="INT16",
        sample_rate_hz=rate_hz,
        min_samples=min_samples,
        max_samples=round(max_duration_s * rate_hz),
        feature_stride_s=feature_stride_s,
        frame_stride_s=feature_stride_s * checkpoint.subsampling,
        vocabulary=checkpoint.vocabulary,
        vocabulary_kind=checkpoint.vocabulary_kind,
        blank=len(checkpoint.vocabulary),
        checkpoint=checkpoint.name,
        checkpoint_sha256=checkpoint.sha256,
        precision=precision,
        exporter_version=version(DISTRIBUTION),
    )
    return replace(contract, model_version=_version_of(contract))


def _version_of(contract: Contract) -> int:
    """A number from 1 to 2^28, made of ``contract`` but for the checkpoint's file name."""
    digest = hashlib.sha256(replace(contract, checkpoint="").to_json().encode()).hexdigest()
    return 1 + int(digest[:7], 16)
