"""Masks of the frames of a padded batch that belong to their utterance."""

import torch
from torch import Tensor


def valid_frames(frames: int, lengths: Tensor) -> Tensor:
    """Bool mask, shape = (B, frames): true within each of ``lengths``, int64 of shape (B,).

    The range is made inside the graph: tracing would fix the length of a cached one.
    """
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)
