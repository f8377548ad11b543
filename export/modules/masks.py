"""Which frames of a padded batch belong to their utterance."""

import torch
from torch import Tensor


def valid_frames(frames: int, lengths: Tensor) -> Tensor:
    """Bool mask, shape = (B, frames): true within each of ``lengths``, int64 of shape (B,).

    Made from a range inside the graph: a cached one would be traced with its length of then.
    """
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)
