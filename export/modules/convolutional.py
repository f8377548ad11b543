"""NeMo's convolutional encoders (Jasper, QuartzNet, Citrinet) with their length masks intact.

NeMo's own exporter turns the masks of ``MaskedConv1d`` off, so that a short utterance is
transcribed differently beside a longer one; left on, tracing bakes a cached range into the
graph, which then fails on longer audio. Here the graph computes each mask from the lengths, so
batching does not change an utterance's output.
"""

import copy
from collections.abc import Iterator

import torch
from nemo.collections.asr.modules import ConvASREncoder
from nemo.collections.asr.parts.submodules.jasper import JasperBlock, MaskedConv1d, SqueezeExcite
from torch import Tensor, nn

from export.modules.masks import valid_frames


class ConvolutionalEncoder(nn.Module):
    """A copy of a Jasper, QuartzNet or Citrinet encoder that can be traced.

    ``objections`` names the encoders that it would not reproduce.
    """

    def __init__(self, encoder: ConvASREncoder) -> None:
        super().__init__()
        encoder = copy.deepcopy(encoder)
        for module in encoder.modules():
            if isinstance(module, MaskedConv1d):
                module.__class__ = TraceableMaskedConv1d
            elif isinstance(module, SqueezeExcite):
                module.__class__ = TraceableSqueezeExcite
        self.encoder = encoder.encoder

    def forward(self, features: Tensor, features_length: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: float32, shape = (B, F, T).
            features_length: int64, shape = (B, 1).

        Returns:
            ``encoded`` float32, shape = (B, D, S), and ``encoded_length`` int64, shape = (B, 1).
        """
        outputs, length = self.encoder(([features], features_length.squeeze(1)))
        return outputs[-1], length.unsqueeze(1)


class TraceableMaskedConv1d(MaskedConv1d):
    """``MaskedConv1d`` whose mask comes from the lengths alone; takes its class in place."""

    def forward(self, x: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the valid frames; shapes (B, C, T), (B,) as in NeMo."""
        # A pointwise convolution does not mix frames: only wider kernels need the mask.
        if self.conv.kernel_size[0] > 1:
            x = x * valid_frames(x.shape[2], lens).unsqueeze(1).to(x.dtype)
        length: Tensor = self.get_seq_len(lens)
        if self.pad_layer is not None:
            x = self.pad_layer(x)
        if self.heads == -1:
            return self.conv(x), length
        batch, _, frames = x.shape
        grouped = self.conv(x.view(-1, self.heads, frames))
        return grouped.view(batch, self.real_out_channels, -1), length


class TraceableSqueezeExcite(SqueezeExcite):
    """``SqueezeExcite`` over the valid frames, without a cached mask; takes its class in place.

    In eval mode NeMo averages over the whole utterance, whatever the context window.
    """

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Scale each channel by a function of the utterance's mean; (B, C, T), (B,) as in NeMo."""
        valid = valid_frames(x.shape[2], lengths).unsqueeze(2).to(x.dtype)  # [B, T, 1]
        # The weights 1/T make a mean that stays in range where a sum of thousands would not, and
        # a matrix product adds frames in their order: padding leaves it the same to the bit.
        weights = valid / lengths.view(-1, 1, 1).to(x.dtype)
        mean = torch.matmul(x, weights).transpose(1, 2)  # [B, 1, C]
        scale = torch.sigmoid(self.fc(mean)).transpose(1, 2)  # [B, C, 1]
        return x * scale, lengths


def objections(encoder: ConvASREncoder) -> Iterator[str]:
    """The parts of ``encoder`` that would let a batch's padding change the result."""
    if any(isinstance(module, nn.GroupNorm) for module in encoder.modules()):
        yield (
            "the encoder has layer, group or instance normalisation (exported:"
            " normalization_mode: batch)"
        )
    if any(isinstance(m, JasperBlock) and not m.conv_mask for m in encoder.modules()):
        yield (
            "the encoder has convolutions without length masks (conv_mask: false; exported:"
            " conv_mask: true)"
        )
