"""Optimisation profiles: the shapes that TensorRT builds an engine for.

An engine with free axes runs only shapes between its profile's ``min`` and ``max``, and is fastest
at ``opt``. All three follow from what is declared: each free axis of a graph's inputs has a label,
and the contract and the largest batch bound each label.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from client.wire.contract import Contract
from export.tensors import BATCH, Model

OPT_BATCH: Final = 8
OPT_DURATION_S: Final = 10.0
"""Kernels are timed at this shape, all others run too. Eight is half of the largest batch, which
the dynamic batcher fills only under load; ten seconds is between short commands and the utterances
of up to 20 s that speech corpora are cut into."""

Shape = tuple[int, ...]
Range = tuple[int, int, int]


@dataclass(frozen=True)
class Profile:
    """The least, the best and the largest shape of one input.

    Raises :class:`ValueError` unless 1 <= min <= opt <= max holds on every axis.
    """

    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        same_rank = len(self.min) == len(self.opt) == len(self.max)
        axes = zip(self.min, self.opt, self.max, strict=False)
        if not same_rank or not all(1 <= low <= best <= high for low, best, high in axes):
            raise ValueError(
                f"a profile has min {self.min}, opt {self.opt}, max {self.max}; expected"
                " 1 <= min <= opt <= max on every axis"
            )

    def holds(self, shape: Sequence[int]) -> bool:
        """Whether an engine with this profile runs ``shape``."""
        return len(shape) == len(self.min) and all(
            low <= axis <= high for low, axis, high in zip(self.min, shape, self.max, strict=True)
        )

    def to_json(self) -> dict[str, list[int]]:
        """The profile as it stands in the build record."""
        return {"min": list(self.min), "opt": list(self.opt), "max": list(self.max)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Profile":
        """Read what :meth:`to_json` gave; raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        return cls(*(tuple(int(axis) for axis in data[key]) for key in ("min", "opt", "max")))


def profiles(model: Model, contract: Contract, max_batch_size: int) -> dict[str, Profile]:
    """A profile for each input of ``model``, by name.

    They hold for every batch of up to ``max_batch_size`` utterances that the contract allows.
    """
    ranges = _ranges(contract, max_batch_size)
    result = {}
    for tensor in model.inputs:
        axes = [(axis,) * 3 if isinstance(axis, int) else ranges[axis] for axis in tensor.axes]
        result[tensor.name] = Profile(*zip(*axes, strict=True))
    return result


def _ranges(contract: Contract, max_batch_size: int) -> dict[str, Range]:
    """Least, best and largest length of each labelled axis."""
    rate_hz = contract.sample_rate_hz
    least, most = contract.min_samples, contract.max_samples
    best = min(max(least, round(OPT_DURATION_S * rate_hz)), most)
    hop = round(contract.feature_stride_s * rate_hz)
    subsampling = round(contract.frame_stride_s / contract.feature_stride_s)
    batch = min(OPT_BATCH, max_batch_size)
    return {
        BATCH: (1, batch, max_batch_size),
        "samples": (least, batch * best, max_batch_size * most),
        "feature_frames": (least // hop, best // hop, most // hop),
        # Strided layers round up, so the shortest input gives one frame.
        "frames": (1, math.ceil(best // hop / subsampling), math.ceil(most // hop / subsampling)),
    }
