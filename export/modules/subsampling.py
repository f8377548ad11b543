"""NeMo's subsampling of feature frames, traceable, with length masks.

NeMo's convolutions choose chunks by the size of the batch, and count lengths in floating point,
which reduced precision would round; its stacking pads by the longest utterance of the batch.
"""

from collections.abc import Iterator

import torch
from nemo.collections.asr.parts.submodules.subsampling import (
    ConvSubsampling,
    MaskedConvSequential,
    StackingSubsampling,
)
from torch import Tensor, nn

from export.modules.masks import valid_frames


def make_traceable(subsampling: nn.Module) -> None:
    """Change ``subsampling`` in place; a linear layer, which is none, stays."""
    if isinstance(subsampling, StackingSubsampling):
        subsampling.__class__ = TraceableStacking
    elif isinstance(subsampling, ConvSubsampling):
        subsampling.__class__ = TraceableSubsampling
        subsampling.conv.__class__ = TraceableMaskedConvSequential


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


class TraceableStacking(StackingSubsampling):
    """``StackingSubsampling`` that pads each utterance by itself; takes its class in place."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Stack the valid frames of (B, T, F) to (B, S, D); lengths of shape (B,)."""
        factor: int = self.subsampling_factor
        valid = valid_frames(x.shape[1], lengths).unsqueeze(2)  # [B, T, 1]
        x = nn.functional.pad(torch.where(valid, x, 0.0), (0, 0, 0, factor - 1))
        if self.pre_norm is not None:
            x = self.pre_norm(x)
        stacked = x.shape[1] // factor
        x = x[:, : stacked * factor].reshape(x.shape[0], -1, factor * x.shape[2])  # [B, S, f * F]
        lengths = (lengths + factor - 1).div(factor, rounding_mode="trunc")
        return self.proj_out(x), lengths


def _time_padding(convolution: nn.Conv2d) -> int:
    """Frames of padding before and after together; NeMo's causal convolution pads by itself."""
    if hasattr(convolution, "_left_padding"):
        return int(convolution._left_padding + convolution._right_padding)  # noqa: SLF001
    return 2 * int(convolution.padding[0])


def objections(subsampling: nn.Module) -> Iterator[str]:
    """The parts of ``subsampling`` that cannot be exported."""
    if isinstance(subsampling, (nn.Linear, StackingSubsampling)):
        return
    if not (
        isinstance(subsampling, ConvSubsampling)
        and isinstance(subsampling.conv, MaskedConvSequential)
        and all(isinstance(layer, (nn.Conv2d, nn.ReLU)) for layer in subsampling.conv)
    ):
        kind = getattr(subsampling, "_subsampling", type(subsampling).__name__)
        yield (
            f"the encoder's subsampling is {kind!r} (exported: striding, dw_striding, stacking,"
            " stacking_norm, none)"
        )
