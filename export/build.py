"""Checkpoint to model repository: three graphs, their configurations, and the ensemble."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from torch import nn

from client.contract import CONTRACT_VERSION, Contract
from export.checkpoint import Checkpoint
from export.config import ensemble_config, model_config, model_name
from export.graph import export_graph
from export.modules.decoder import Decoder
from export.modules.encoder import Encoder
from export.modules.preprocessor import Preprocessor
from export.repository import (
    check_name,
    check_replaceable,
    graph_path,
    publish,
    staging,
    write_config,
)
from export.tensors import Model, Pipeline, pipeline

DISTRIBUTION: Final = "nemo-ctc-triton"
MAX_DURATION_S: Final = 120
"""A convolutional encoder has no limit of its own, but a batch is padded to its longest: 16 times
120 s take about 1 GB in the preprocessor, 16 times half an hour would take all of a machine."""
MIN_FRAMES: Final = 2
"""Normalisation divides by the frames minus one."""


@dataclass(frozen=True)
class BuildOptions:
    """Where a build goes: the models are named after ``name``."""

    repository: Path
    name: str
    precision: str = "fp32"


def build(checkpoint: Checkpoint, options: BuildOptions) -> Contract:
    """Export ``checkpoint`` and publish it in ``options.repository``.

    Raises :class:`CheckpointError`, :class:`GraphError` or :class:`RepositoryError`; the
    repository is then unchanged.
    """
    check_name(options.name)
    contract = contract_of(checkpoint, options.precision)
    declared = pipeline_of(checkpoint)
    inner = tuple(model_name(options.name, model) for model in declared.models)
    check_replaceable(options.repository, inner, options.name)
    with staging(options.repository) as staged:
        for model, module in zip(declared.models, _modules(checkpoint), strict=True):
            write_config(staged, model_config(options.name, model))
            path = graph_path(staged, model_name(options.name, model))
            export_graph(module, model, _example(model), path)
        write_config(staged, ensemble_config(options.name, declared, contract))
        publish(staged, options.repository, inner, options.name)
    return contract


def pipeline_of(checkpoint: Checkpoint) -> Pipeline:
    """The declared tensors of the graphs of ``checkpoint``."""
    model = checkpoint.model
    return pipeline(
        features=model.preprocessor.featurizer.nfilt,
        channels=model.decoder.decoder_layers[0].in_channels,
        vocabulary_size=model.decoder.num_classes_with_blank,
    )


def contract_of(checkpoint: Checkpoint, precision: str) -> Contract:
    """What clients will be told of ``checkpoint``."""
    rate_hz = checkpoint.sample_rate_hz
    feature_stride_s = checkpoint.hop_samples / rate_hz
    return Contract(
        version=CONTRACT_VERSION,
        audio_type="INT16",
        sample_rate_hz=rate_hz,
        min_samples=MIN_FRAMES * checkpoint.hop_samples,
        max_samples=MAX_DURATION_S * rate_hz,
        feature_stride_s=feature_stride_s,
        frame_stride_s=feature_stride_s * checkpoint.subsampling,
        vocabulary=checkpoint.vocabulary,
        vocabulary_kind="char",
        blank=len(checkpoint.vocabulary),
        checkpoint=checkpoint.name,
        checkpoint_sha256=checkpoint.sha256,
        precision=precision,
        exporter_version=version(DISTRIBUTION),
    )


def _modules(checkpoint: Checkpoint) -> tuple[nn.Module, nn.Module, nn.Module]:
    model = checkpoint.model
    return (
        Preprocessor(model.preprocessor.featurizer),
        Encoder(model.encoder),
        Decoder(model.decoder),
    )


def _example(model: Model) -> tuple[torch.Tensor, ...]:
    """Two utterances of different lengths to trace with; any values do."""
    generator = torch.Generator().manual_seed(0)
    frames = 100
    if model.role == "preprocessor":
        lengths = torch.tensor([[12000], [16000]], dtype=torch.int32)
        audio = torch.randint(-(2**15), 2**15, (int(lengths.sum()),), generator=generator)
        return audio.to(torch.int16), lengths
    channels = model.inputs[0].axes[1]
    values = torch.randn(2, int(channels), frames, generator=generator)
    return values, torch.tensor([[frames // 2], [frames]])
