"""NeMo's LSTM encoders (``RNNEncoder``), traceable, with length masks.

In NeMo, without masks, the backward direction of a padded batch begins in the padding. Here its
state stays zero until an utterance's last frame.
"""

import copy
from collections.abc import Iterator
from typing import Final

import torch
from nemo.collections.asr.modules import RNNEncoder
from torch import Tensor, nn

from export.modules import subsampling
from export.modules.masks import valid_frames
from export.scan import scanned

CLOSED: Final = -10000.0
"""The input of all gates beyond a length: its sigmoid is 0, and fp16 holds it."""


class RecurrentEncoder(nn.Module):
    """A copy of an LSTM encoder that can be traced.

    ``objections`` names the encoders that it would not reproduce.
    """

    def __init__(self, encoder: RNNEncoder) -> None:
        super().__init__()
        self.pre_encode = copy.deepcopy(encoder.pre_encode)
        subsampling.make_traceable(self.pre_encode)
        self.layers = nn.ModuleList(
            ProjectedLSTM(layer) if isinstance(layer, nn.LSTM) else copy.deepcopy(layer)
            for layer in encoder.layers
        )

    def forward(self, features: Tensor, features_length: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: float32, shape = (B, F, T).
            features_length: int64, shape = (B, 1).

        Returns:
            ``encoded`` float32, shape = (B, D, S), and ``encoded_length`` int64, shape = (B, 1).
        """
        x, lengths = features.transpose(1, 2), features_length.squeeze(1)  # [B, T, F], [B]
        if isinstance(self.pre_encode, nn.Linear):
            x = self.pre_encode(x)
        else:
            x, lengths = self.pre_encode(x, lengths)  # [B, S, D], [B]
        valid = valid_frames(x.shape[1], lengths).unsqueeze(2)  # [B, S, 1]
        for layer in self.layers:
            x = layer(x, valid) if isinstance(layer, ProjectedLSTM) else layer(x)
        return x.transpose(1, 2), lengths.unsqueeze(1)


class ProjectedLSTM(nn.Module):
    """A layer of one direction or both; D channels, each direction of a cell projected to P."""

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        suffixes = ("", "_reverse") if layer.bidirectional else ("",)
        self.directions = nn.ModuleList(_Direction(layer, suffix) for suffix in suffixes)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Run over (B, S, D); ``valid``, (B, S, 1), tells the frames within the lengths."""
        return torch.cat([direction(x, valid) for direction in self.directions], dim=2)


class _Direction(nn.Module):
    def __init__(self, layer: nn.LSTM, suffix: str) -> None:
        super().__init__()

        def weights(name: str) -> Tensor:
            tensor: Tensor = getattr(layer, f"{name}_l0{suffix}").detach()
            return tensor

        self.backwards = bool(suffix)
        self.weight = nn.Parameter(weights("weight_ih").T.contiguous())  # [D, gates]
        self.bias = nn.Parameter(weights("bias_ih") + weights("bias_hh"))
        self.recurrent = nn.Parameter(weights("weight_hh").T.contiguous())  # [P, gates]
        self.projection = nn.Parameter(weights("weight_hr").T.contiguous())  # [cell, P]

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        gates = torch.matmul(x, self.weight) + self.bias
        gates = torch.where(valid, gates, CLOSED)
        return scanned(gates, self.recurrent, self.projection, backwards=self.backwards)


def objections(encoder: RNNEncoder) -> Iterator[str]:
    """The parts of ``encoder`` that cannot be exported."""
    yield from subsampling.objections(encoder.pre_encode)
