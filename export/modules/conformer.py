"""NeMo's Conformer and FastConformer encoders, traceable, with every mask intact.

Attention and convolution modules are masked by NeMo itself. Made traceable here are the
subsampling, whose choice of chunks depends on the size of the batch, and its masks, whose
lengths NeMo counts in floating point, which no reduced precision may touch; and local attention
(:mod:`export.modules.local_attention`).
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
from nemo.collections.asr.parts.submodules.subsampling import (
    ConvSubsampling,
    MaskedConvSequential,
)
from torch import Tensor, nn

from export.modules.local_attention import local_attention
from export.modules.masks import valid_frames


class ConformerEncoder(nn.Module):
    """A copy of a Conformer or FastConformer encoder that can be traced.

    ``max_frames``: the most feature frames of an utterance; positional encodings reach as far.
    :func:`objections` names the encoders that it would not reproduce.
    """

    def __init__(self, encoder: NemoConformerEncoder, max_frames: int) -> None:
        super().__init__()
        encoder = copy.deepcopy(encoder)
        encoder.set_max_audio_length(-(-max_frames // encoder.subsampling_factor) + 1)
        if not isinstance(encoder.pre_encode, nn.Linear):
            encoder.pre_encode.__class__ = TraceableSubsampling
            encoder.pre_encode.conv.__class__ = TraceableMaskedConvSequential
        for module in encoder.modules():
            if hasattr(module, "use_pytorch_sdpa"):
                module.use_pytorch_sdpa = False  # the same sums, spelled out
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


class TraceableSubsampling(ConvSubsampling):
    """``ConvSubsampling`` in one piece; takes its class in place."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample (B, T, F) to (B, S, D); lengths of shape (B,) as in NeMo."""
        x, lengths = self.conv(x, lengths)  # [B, C, S, F']
        return self.out(x.transpose(1, 2).flatten(2)), lengths


class TraceableMaskedConvSequential(MaskedConvSequential):
    """``MaskedConvSequential`` with lengths counted in integers; takes its class in place."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the valid frames of (B, T, F) to (B, C, S, F'); lengths of shape (B,)."""
        x = x.unsqueeze(1)  # [B, 1, T, F]
        for layer in self:
            if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1:
                valid = valid_frames(x.shape[2], lengths)[:, None, :, None]  # [B, 1, T, 1]
                x = x * valid.to(x.dtype)
            x = layer(x)
            if isinstance(layer, nn.Conv2d) and layer.stride[0] > 1:
                reach = _time_padding(layer) - layer.kernel_size[0]
                lengths = (lengths + reach).div(layer.stride[0], rounding_mode="trunc") + 1
        return x, lengths


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


def _time_padding(convolution: nn.Conv2d) -> int:
    """Frames of padding before and after together; NeMo's causal convolution pads by itself."""
    if hasattr(convolution, "_left_padding"):
        return int(convolution._left_padding + convolution._right_padding)  # noqa: SLF001
    return 2 * int(convolution.padding[0])


def is_local(encoder: NemoConformerEncoder) -> bool:
    """Whether attention is limited to a window, at a cost linear in the frames."""
    return bool(encoder.self_attention_model == "rel_pos_local_attn")


def objections(encoder: NemoConformerEncoder) -> Iterator[str]:
    """What in ``encoder`` is not made traceable here."""
    if is_local(encoder):
        yield from _local_objections(encoder)
    if encoder.reduction_subsampling is not None:
        yield "the encoder has a reduction between its layers (exported: none)"
    if any(isinstance(module, nn.InstanceNorm1d) for module in encoder.modules()):
        yield (
            "the encoder's conv_norm_type is 'instance_norm', with which NeMo itself fails on an"
            " utterance of one frame (exported: batch_norm, layer_norm, group_norm)"
        )
    subsampling = encoder.pre_encode
    if not isinstance(subsampling, nn.Linear) and not (
        isinstance(subsampling, ConvSubsampling)
        and isinstance(subsampling.conv, MaskedConvSequential)
        and all(isinstance(layer, (nn.Conv2d, nn.ReLU)) for layer in subsampling.conv)
    ):
        kind = getattr(subsampling, "_subsampling", type(subsampling).__name__)
        yield f"the encoder's subsampling is {kind!r} (exported: striding, dw_striding, none)"


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
