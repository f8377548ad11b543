"""Small NeMo models with random weights, and the same from the same seed each time.

The weights are such that the greedy tokens vary from frame to frame: a model that says nothing
agrees with every export.
"""

from typing import Any

import torch
from nemo.collections.asr.models import EncDecCTCModel
from omegaconf import OmegaConf
from torch import nn

from export.checkpoint import Checkpoint, checkpoint_of

LABELS = [" ", *"abcdefghijklmnopqrstuvwxyz", "'"]
SHA256 = "0" * 64
DECODER_GAIN = 2.0
"""Standard deviation of the scores before softmax."""

QUARTZNET_PREPROCESSOR = {
    "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
    "sample_rate": 16000,
    "normalize": "per_feature",
    "window_size": 0.025,
    "window_stride": 0.01,
    "window": "hann",
    "features": 80,
    "n_fft": 512,
    "dither": 1e-5,
}
JASPER_PREPROCESSOR = {**QUARTZNET_PREPROCESSOR, "window_size": 0.02, "features": 64}


def block(filters: int, kernel: int, **settings: Any) -> dict[str, Any]:
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


QUARTZNET_BLOCKS = (
    block(32, 11, stride=[2], separable=True),
    block(32, 13, repeat=2, residual=True, separable=True),
    block(32, 9, dilation=[2], separable=True),
    block(48, 1),
)
JASPER_BLOCKS = (
    block(24, 11, stride=[2]),
    block(24, 7, repeat=2, residual=True, residual_dense=True),
    block(32, 5, repeat=2, residual=True, residual_dense=True),
    block(32, 5, repeat=2, stride=[2], stride_last=True, separable=True),
    block(32, 7, dilation=[2]),
    block(40, 1),
)


def model(
    preprocessor: dict[str, Any],
    encoder: dict[str, Any],
    labels: list[str] = LABELS,
    seed: int = 0,
) -> EncDecCTCModel:
    """A model in eval mode from NeMo configs of its preprocessor and encoder."""
    torch.manual_seed(seed)
    features = preprocessor["features"]
    channels = encoder["jasper"][-1]["filters"] if "jasper" in encoder else encoder["d_model"]
    config = {
        "sample_rate": preprocessor["sample_rate"],
        "labels": labels,
        "preprocessor": preprocessor,
        "encoder": {"feat_in": features, **encoder},
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            "feat_in": channels,
            "num_classes": len(labels),
            "vocabulary": labels,
        },
    }
    built = EncDecCTCModel(cfg=OmegaConf.create(config)).eval()
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2.0)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
        _spread_tokens(built, features)
    return built


def _spread_tokens(built: EncDecCTCModel, features: int) -> None:
    """Centre and scale the last layer on noise, so that no token wins in every frame."""
    head = built.decoder.decoder_layers[0]
    noise = torch.randn(1, features, 500)
    encoded, _ = built.encoder(audio_signal=noise, length=torch.tensor([500]))  # [1, D, S]
    spread, mean = torch.std_mean(encoded, dim=(0, 2), keepdim=True)
    head.weight.normal_(std=DECODER_GAIN / head.in_channels**0.5)
    head.weight /= spread + 0.1  # units that hardly vary must not amplify rounding
    head.bias.copy_(-head(mean)[0, :, 0] + head.bias)


def convolutional(blocks: tuple[dict[str, Any], ...], **settings: Any) -> dict[str, Any]:
    """The config of a Jasper or QuartzNet encoder."""
    return {
        "_target_": "nemo.collections.asr.modules.ConvASREncoder",
        "activation": "relu",
        "conv_mask": True,
        "jasper": list(blocks),
        **settings,
    }


def quartznet(**settings: Any) -> Checkpoint:
    """Separable blocks, 80 features, a frame every 20 ms."""
    return checkpoint_of(
        model(QUARTZNET_PREPROCESSOR, convolutional(QUARTZNET_BLOCKS), **settings),
        "small_quartznet",
        SHA256,
    )


def jasper() -> Checkpoint:
    """Dense residual blocks, 64 features of 20 ms windows, a frame every 40 ms."""
    return checkpoint_of(
        model(JASPER_PREPROCESSOR, convolutional(JASPER_BLOCKS)), "small_jasper", SHA256
    )
