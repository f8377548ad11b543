"""A model of every family as NeMo configures it, with random weights from a seed.

Published checkpoints are large downloads, and any weights that make the greedy tokens vary from
frame to frame show whether a family is exported faithfully. ``FULL_SIZE`` are the architectures of
NeMo's own configurations, ``SMALL`` the same with few and narrow layers.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from nemo.collections.asr.models import (
    EncDecCTCModel,
    EncDecCTCModelBPE,
    EncDecHybridRNNTCTCBPEModel,
    EncDecHybridRNNTCTCModel,
)
from omegaconf import OmegaConf
from torch import nn

from export.checkpoint import Checkpoint, checkpoint_of
from export.verification.tokenizer import write_tokenizer

Config = dict[str, Any]

LABELS: Final = (" ", *"abcdefghijklmnopqrstuvwxyz", "'")
SHA256: Final = "0" * 64
LOGITS_DEVIATION: Final = 2.0
NOISE_FRAMES: Final = 400
_TOKENIZERS: Final[list[tempfile.TemporaryDirectory[str]]] = []
"""Kept until the end, because NeMo reads a tokenizer's files again when it saves the model."""

_MODULES: Final = "nemo.collections.asr.modules"


@dataclass(frozen=True)
class Architecture:
    """The configuration of a model; ``source`` is its file in NeMo's examples/asr/conf.

    ``subwords`` is the number of SentencePiece units, 0 for characters. ``hybrid`` models have an
    RNNT or TDT decoder beside the CTC head; only the head is exported.
    """

    name: str
    source: str
    preprocessor: Config
    encoder: Config
    subwords: int = 0
    hybrid: bool = False
    labels: tuple[str, ...] = LABELS


def random_checkpoint(architecture: Architecture, seed: int = 0) -> Checkpoint:
    """The model of ``architecture`` in eval mode, its weights drawn from ``seed``."""
    torch.manual_seed(seed)
    config = OmegaConf.create(_model_config(architecture))
    model = _model_class(architecture)(cfg=config).eval()
    checkpoint = checkpoint_of(model, architecture.name, SHA256)
    spread(checkpoint, architecture.preprocessor["features"])
    return checkpoint


def preprocessor(features: int, window_size: float = 0.025, **settings: Any) -> Config:
    """NeMo's mel features at 16 kHz, a frame every 10 ms."""
    return {
        "_target_": f"{_MODULES}.AudioToMelSpectrogramPreprocessor",
        "sample_rate": 16000,
        "normalize": "per_feature",
        "window_size": window_size,
        "window_stride": 0.01,
        "window": "hann",
        "features": features,
        "n_fft": 512,
        "dither": 1e-5,
        **settings,
    }


def block(filters: int, kernel: int, **settings: Any) -> Config:
    """One entry of NeMo's ``jasper`` list, plain unless ``settings`` say otherwise."""
    return {
        "filters": filters,
        "kernel": [kernel],
        "repeat": 1,
        "stride": [1],
        "dilation": [1],
        "dropout": 0.1,
        "residual": False,
        **settings,
    }


def convolutional(*blocks: Config, **settings: Any) -> Config:
    """A Jasper, QuartzNet or Citrinet encoder."""
    return {
        "_target_": f"{_MODULES}.ConvASREncoder",
        "activation": "relu",
        "conv_mask": True,
        "jasper": list(blocks),
        **settings,
    }


def conformer(d_model: int, n_layers: int, n_heads: int, **settings: Any) -> Config:
    """A Conformer encoder as NeMo's large one, of another size."""
    return {
        "_target_": f"{_MODULES}.ConformerEncoder",
        "n_layers": n_layers,
        "d_model": d_model,
        "n_heads": n_heads,
        "subsampling": "striding",
        "subsampling_factor": 4,
        "subsampling_conv_channels": d_model,
        "conv_kernel_size": 31,
        "self_attention_model": "rel_pos",
        "pos_emb_max_len": 5000,
        **settings,
    }


def fastconformer(d_model: int, n_layers: int, n_heads: int, **settings: Any) -> Config:
    """A FastConformer encoder: eight frames to one, depthwise, and short kernels."""
    fast = {
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": d_model // 2,
        "conv_kernel_size": 9,
    }
    return conformer(d_model, n_layers, n_heads, **(fast | settings))


def local_attention(context: int, **settings: Any) -> Config:
    """What makes a Conformer's attention reach ``context`` frames to both sides."""
    return {
        "self_attention_model": "rel_pos_local_attn",
        "att_context_size": [context, context],
        **settings,
    }


def lstm(d_model: int, n_layers: int, proj_size: int, **settings: Any) -> Config:
    """An LSTM encoder as NeMo's: in both directions, four feature frames to one."""
    return {
        "_target_": f"{_MODULES}.RNNEncoder",
        "n_layers": n_layers,
        "d_model": d_model,
        "proj_size": proj_size,
        "rnn_type": "lstm",
        "bidirectional": True,
        "subsampling": "stacking",
        "subsampling_factor": 4,
        **settings,
    }


def _quartznet(repeat: int, widths_and_kernels: tuple[tuple[int, int], ...]) -> Config:
    first, *middle = widths_and_kernels
    return convolutional(
        block(first[0], first[1], stride=[2], separable=True),
        *(block(*shape, repeat=repeat, residual=True, separable=True) for shape in middle[:-2]),
        block(*middle[-2], dilation=[2], separable=True),
        block(*middle[-1]),
    )


def _jasper(repeat: int, widths_and_kernels: tuple[tuple[int, int], ...]) -> Config:
    first, *middle = widths_and_kernels
    dense = {"residual": True, "residual_dense": True}
    return convolutional(
        block(*first, stride=[2]),
        *(block(*shape, repeat=repeat, **dense) for shape in middle[:-2]),
        block(*middle[-2], dilation=[2]),
        block(*middle[-1]),
    )


def _citrinet(width: int, last: int, repeat: int, groups: tuple[tuple[int, ...], ...]) -> Config:
    """Each group of kernels halves the frames in its first block."""
    squeeze = {"separable": True, "se": True, "se_context_size": -1}
    strided = {"stride": [2], "stride_last": True, "residual_mode": "stride_add"}
    return convolutional(
        block(width, 5, **squeeze),
        *(
            block(
                width, kernel, repeat=repeat, residual=True, **squeeze, **({} if place else strided)
            )
            for kernels in groups
            for place, kernel in enumerate(kernels)
        ),
        block(last, 41, **squeeze),
    )


_QUARTZNET_15X5 = (
    (256, 33),
    *(shape for shape in ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75)) for _ in range(3)),
    (512, 87),
    (1024, 1),
)
_JASPER_10X5 = (
    (256, 11),
    *(shape for shape in ((256, 11), (384, 13), (512, 17), (640, 21), (768, 25)) for _ in range(2)),
    (896, 29),
    (1024, 1),
)
_CITRINET_512 = ((11, *range(13, 22, 2)), (13, *range(15, 26, 2)), (25, *range(27, 40, 2)))

FULL_SIZE: Final = {
    "quartznet": Architecture(
        "QuartzNet 15x5", "quartznet/quartznet_15x5.yaml",
        preprocessor(64, 0.02), _quartznet(5, _QUARTZNET_15X5),
    ),
    "jasper": Architecture(
        "Jasper 10x5dr", "jasper/jasper_10x5dr.yaml",
        preprocessor(64, 0.02), _jasper(5, _JASPER_10X5),
    ),
    "citrinet": Architecture(
        "Citrinet-512", "citrinet/citrinet_512.yaml",
        preprocessor(80, pad_to=16), _citrinet(512, 640, 5, _CITRINET_512), subwords=1024,
    ),
    "conformer": Architecture(
        "Conformer-CTC large", "conformer/conformer_ctc_char.yaml",
        preprocessor(80, pad_to=0), conformer(512, 18, 8),
    ),
    "fastconformer": Architecture(
        "FastConformer-CTC large", "fastconformer/fast-conformer_ctc_bpe.yaml",
        preprocessor(80, pad_to=0), fastconformer(512, 17, 8), subwords=1024,
    ),
    "local": Architecture(
        "FastConformer-CTC large, local attention",
        "fastconformer/long_fastconformer/fast-conformer-long_ctc_bpe.yaml",
        preprocessor(80, pad_to=0), fastconformer(512, 18, 8, **local_attention(128)),
        subwords=1024,
    ),
    "long": Architecture(
        "FastConformer-CTC large, local attention and a global token",
        "fastconformer/long_fastconformer/fast-conformer-long_ctc_bpe.yaml",
        preprocessor(80, pad_to=0),
        fastconformer(512, 18, 8, **local_attention(128, global_tokens=1)), subwords=1024,
    ),
    "lstm": Architecture(
        "LSTM-CTC", "lstm/lstm_ctc_bpe.yaml",
        preprocessor(80, pad_to=0), lstm(2048, 8, 640), subwords=1024,
    ),
    "hybrid": Architecture(
        "FastConformer TDT-CTC large",
        "fastconformer/hybrid_transducer_ctc/fastconformer_hybrid_tdt_ctc_bpe.yaml",
        preprocessor(128, pad_to=0), fastconformer(512, 17, 8), subwords=1024, hybrid=True,
    ),
}  # fmt: skip
"""NeMo's published architectures. Conformer's is the large size of the table in its file; the
file with local attention has a global token, which ``change_attention_model`` does not give."""

_NARROW = ((32, 11), (32, 13), (32, 9), (48, 1))

SMALL: Final = {
    "quartznet": Architecture(
        "small_quartznet", FULL_SIZE["quartznet"].source, preprocessor(80), _quartznet(2, _NARROW)
    ),
    "jasper": Architecture(
        "small_jasper", FULL_SIZE["jasper"].source, preprocessor(64, 0.02),
        _jasper(2, ((24, 11), (24, 7), (32, 5), (32, 7), (40, 1))),
    ),
    "citrinet": Architecture(
        "small_citrinet", FULL_SIZE["citrinet"].source,
        preprocessor(80, pad_to=16), _citrinet(32, 40, 2, ((7, 9), (7, 5), (5, 9))), subwords=64,
    ),
    "conformer": Architecture(
        "small_conformer", FULL_SIZE["conformer"].source,
        preprocessor(80, pad_to=0), conformer(32, 2, 4),
    ),
    "fastconformer": Architecture(
        "small_fastconformer", FULL_SIZE["fastconformer"].source,
        preprocessor(80, pad_to=0), fastconformer(32, 2, 4), subwords=64,
    ),
    "local": Architecture(
        "small_local", FULL_SIZE["local"].source,
        preprocessor(80, pad_to=0), fastconformer(32, 2, 4, **local_attention(8)), subwords=64,
    ),
    "long": Architecture(
        "small_long", FULL_SIZE["long"].source, preprocessor(80, pad_to=0),
        fastconformer(32, 2, 4, **local_attention(8, global_tokens=3, global_tokens_spacing=4)),
        subwords=64,
    ),
    "lstm": Architecture(
        "small_lstm", FULL_SIZE["lstm"].source,
        preprocessor(80, pad_to=0), lstm(48, 2, 32), subwords=64,
    ),
    "hybrid": Architecture(
        "small_hybrid", FULL_SIZE["hybrid"].source,
        preprocessor(128, pad_to=0), fastconformer(32, 2, 4), subwords=64, hybrid=True,
    ),
}  # fmt: skip
"""The same families, narrow and shallow."""


def _model_class(architecture: Architecture) -> Any:
    if architecture.hybrid:
        return EncDecHybridRNNTCTCBPEModel if architecture.subwords else EncDecHybridRNNTCTCModel
    return EncDecCTCModelBPE if architecture.subwords else EncDecCTCModel


def _model_config(architecture: Architecture) -> Config:
    encoder = {"feat_in": architecture.preprocessor["features"], **architecture.encoder}
    channels = _channels(encoder)
    config: Config = {
        "sample_rate": architecture.preprocessor["sample_rate"],
        "preprocessor": architecture.preprocessor,
        "encoder": encoder,
    }
    head = {"_target_": f"{_MODULES}.ConvASRDecoder", "feat_in": channels}
    if architecture.subwords:
        folder = tempfile.TemporaryDirectory()
        _TOKENIZERS.append(folder)
        write_tokenizer(Path(folder.name), architecture.subwords)
        config["tokenizer"] = {"dir": folder.name, "type": "bpe"}
        head |= {"num_classes": -1, "vocabulary": []}
    else:
        labels = list(architecture.labels)
        config["labels"] = labels
        head |= {"num_classes": len(labels), "vocabulary": labels}
    if architecture.hybrid:
        return config | _transducer(channels) | {"aux_ctc": {"decoder": head}}
    return config | {"decoder": head}


def _channels(encoder: Config) -> int:
    """The number of channels of the encoder's output."""
    if "jasper" in encoder:
        return int(encoder["jasper"][-1]["filters"])
    return int(encoder["proj_size"] if "proj_size" in encoder else encoder["d_model"])


def _transducer(channels: int) -> Config:
    """The part of a TDT-CTC hybrid that is not exported, as small as possible."""
    durations = [0, 1, 2, 3, 4]
    hidden = 16
    return {
        "model_defaults": {"enc_hidden": channels, "pred_hidden": hidden, "joint_hidden": hidden},
        "decoder": {
            "_target_": f"{_MODULES}.RNNTDecoder",
            "blank_as_pad": True,
            "prednet": {"pred_hidden": hidden, "pred_rnn_layers": 1, "dropout": 0.0},
        },
        "joint": {
            "_target_": f"{_MODULES}.RNNTJoint",
            "fuse_loss_wer": True,
            "fused_batch_size": 4,
            "jointnet": {"joint_hidden": hidden, "activation": "relu", "dropout": 0.0},
            "num_extra_outputs": len(durations),
        },
        "decoding": {
            "strategy": "greedy_batch",
            "model_type": "tdt",
            "durations": durations,
            "greedy": {"max_symbols": 10},
        },
        "loss": {"loss_name": "tdt", "tdt_kwargs": {"durations": durations}},
    }


def spread(checkpoint: Checkpoint, features: int) -> None:
    """Make every layer's output vary like a trained one's, so that no token wins in every frame.

    Draws the normalisations and the head; ``features`` is the number of mel bands.
    """
    encoder, head = checkpoint.model.encoder, checkpoint.head.decoder_layers[0]
    noise = torch.randn(2, features, NOISE_FRAMES)
    length = torch.full((2,), NOISE_FRAMES)
    with torch.no_grad():
        _draw_normalisations(encoder)
        encoder(audio_signal=noise, length=length)
        encoder.eval()
        encoded, _ = encoder(audio_signal=noise, length=length)  # [2, D, S]
        deviation, mean = torch.std_mean(encoded, dim=(0, 2), keepdim=True)
        head.weight.normal_(std=LOGITS_DEVIATION / head.in_channels**0.5)
        head.weight /= deviation[:1] + 0.1  # units that hardly vary must not amplify rounding
        head.bias.copy_(-head(mean)[0, :, 0] + head.bias)


def _draw_normalisations(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            # Shifted, so that most of it passes the ReLU: dozens of random layers that cut off half
            # amplify the features' rounding ten-thousandfold, which no trained model does.
            module.weight.uniform_(0.3, 0.7)
            module.bias.normal_(1.0, 0.2)
            module.reset_running_stats()
            module.momentum = None  # the statistics become those of the next batch
            module.train()
    for name, parameter in encoder.named_parameters():
        if name.endswith(("pos_bias_u", "pos_bias_v")):
            parameter.normal_(std=0.1)
