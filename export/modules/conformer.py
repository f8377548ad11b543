"""NeMo's Conformer and FastConformer encoders, traceable, with every mask intact.

NeMo itself masks attention and convolution modules. We replace the subsampling
(``export.modules.subsampling``), local attention (``export.modules.local_attention``), and
group normalisation.
"""

import copy
from collections.abc import Iterator

import torch
from nemo.collections.asr.modules import ConformerEncoder as NemoConformerEncoder
from nemo.collections.asr.parts.submodules.conformer_modules import ConformerConvolution
from nemo.collections.asr.parts.submodules.multi_head_attention import (
    MultiHeadAttention,
    RelPositionMultiHeadAttentionLongformer,
)
from torch import Tensor, nn

from export.modules import subsampling
from export.modules.local_attention import local_attention


class ConformerEncoder(nn.Module):
    """A copy of a Conformer or FastConformer encoder that can be traced.

    ``max_frames``: the most feature frames of an utterance, which size the positional encodings.
    ``objections`` names the encoders that it would not reproduce.
    """

    def __init__(self, encoder: NemoConformerEncoder, max_frames: int) -> None:
        super().__init__()
        encoder = copy.deepcopy(encoder)
        encoder.set_max_audio_length(-(-max_frames // encoder.subsampling_factor) + 1)
        subsampling.make_traceable(encoder.pre_encode)
        for module in encoder.modules():
            if hasattr(module, "use_pytorch_sdpa"):
                module.use_pytorch_sdpa = False  # the same sums as single operators
            if isinstance(getattr(module, "batch_norm", None), nn.GroupNorm):
                module.batch_norm = MaskedGroupNorm(module.batch_norm)
                module.__class__ = TraceableConvolution
        for layer in encoder.layers:
            if isinstance(layer.self_attn, RelPositionMultiHeadAttentionLongformer):
                layer.self_attn = local_attention(layer.self_attn, encoder.pos_enc.pe)
        self.encoder = encoder

    def forward(self, features: Tensor, features_length: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: float32, shape = (B, F, T).
            features_length: int64, shape = (B, 1).

        Returns:
            ``encoded`` float32, shape = (B, D, S), and ``encoded_length`` int64, shape = (B, 1).
        """
        encoded, length = self.encoder.forward_internal(features, features_length.squeeze(1))
        return encoded, length.unsqueeze(1)


class TraceableConvolution(ConformerConvolution):
    """``ConformerConvolution`` whose group normalisation knows the padding; takes its class."""

    def forward(self, x: Tensor, pad_mask: Tensor, cache: None = None) -> Tensor:
        """Convolve (B, S, D); ``pad_mask``, shape (B, S), is true beyond the length."""
        self.batch_norm.valid = ~pad_mask
        convolved: Tensor = super().forward(x, pad_mask, cache)
        return convolved


class MaskedGroupNorm(nn.Module):
    """``GroupNorm`` of (B, D, S) over the valid frames alone, those in ``valid``, (B, S)."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight, self.bias = norm.weight, norm.bias
        self.valid: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each group of channels of each utterance, as it would be alone."""
        valid = self.valid.unsqueeze(2).to(x.dtype)  # [B, S, 1]
        weights = valid / valid.sum(1, keepdim=True)
        deviation = x - self._group_mean(torch.matmul(x, weights))
        variance = self._group_mean(torch.matmul(deviation.square(), weights))
        normed = deviation / (variance + self.eps).sqrt()
        return normed * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)

    def _group_mean(self, channels: Tensor) -> Tensor:
        """From each channel's mean, (B, D, 1), its group's, same shape."""
        grouped = channels.reshape(channels.shape[0], self.groups, -1)  # [B, G, D / G]
        return grouped.mean(2, keepdim=True).expand_as(grouped).reshape(channels.shape)


def is_local(encoder: NemoConformerEncoder) -> bool:
    """Whether attention is limited to a window, at a cost linear in the frames."""
    return bool(encoder.self_attention_model == "rel_pos_local_attn")


def objections(encoder: NemoConformerEncoder) -> Iterator[str]:
    """The parts of ``encoder`` that cannot be exported."""
    if is_local(encoder):
        yield from _local_objections(encoder)
    if encoder.reduction_subsampling is not None:
        yield "the encoder has a reduction between its layers (exported: none)"
    if any(isinstance(module, nn.InstanceNorm1d) for module in encoder.modules()):
        yield (
            "the encoder's conv_norm_type is 'instance_norm', with which NeMo itself fails on an"
            " utterance of one frame (exported: batch_norm, layer_norm, group_norm)"
        )
    yield from subsampling.objections(encoder.pre_encode)


def _local_objections(encoder: NemoConformerEncoder) -> Iterator[str]:
    """Where NeMo itself fails with local attention."""
    context = (encoder.pos_enc.left_context, encoder.pos_enc.right_context)
    if min(context) < 0 or max(context) < 2:
        yield (
            f"the encoder has local attention with att_context_size {list(context)}, with which"
            " NeMo itself fails (exported: none below 0, and one above 1)"
        )
    adapters = (
        layer.adapter_layer[name]
        for layer in encoder.layers
        if layer.is_adapter_available()
        for name in layer.get_enabled_adapters()
    )
    if any(isinstance(adapter, MultiHeadAttention) for adapter in adapters):
        yield (
            "the encoder has local attention and adapters of attention, with which NeMo itself"
            " fails (exported: linear adapters)"
        )
