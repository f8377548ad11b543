"""Weights that need not travel: drawn again wherever they are needed, from names and a few numbers.

A model with random weights is as fast as a trained one, and Jasper's weights take 1.3 GB. Here a
large weight is a :class:`Draw`, random numbers that follow from its name, and what an exporter
made of it (transposed, scaled by a folded batch normalisation, in half precision) is a
:class:`Derived`. :class:`Weights` holds both for all files of a model, and travels as JSON.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import BundleError

Array = NDArray[Any]

ALIGNMENT: Final = 64
"""Bytes that a tensor's place in a data file is a multiple of."""
CACHED_DRAWS: Final = 4
"""Precisions are written one after another for the same weight."""


@dataclass(frozen=True)
class Draw:
    """Evenly distributed float32 numbers of mean 0 and deviation ``std``, the same for a name.

    They are made of the raw output of a PCG64 generator, which NumPy keeps the same from version
    to version, as it does not with its distributions.
    """

    name: str
    shape: tuple[int, ...]
    std: float

    def values(self) -> Array:
        """The numbers; float32, not writable."""
        return _all_drawn(self)


@dataclass(frozen=True)
class Derived:
    """A tensor made of a draw.

    The draw without its axes of length 1, ``transposed`` if so, times ``scale`` for each output
    channel (its first axis before transposing) if there is one, as ``dtype`` in ``shape``.
    """

    draw: str
    shape: tuple[int, ...]
    dtype: str
    transposed: bool = False
    scale: tuple[float, ...] | None = None

    @property
    def n_bytes(self) -> int:
        """The size of the tensor."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    def values(self, draws: Mapping[str, Draw]) -> Array:
        """The tensor."""
        drawn = draws[self.draw].values().squeeze()
        if self.scale is not None:
            channels = (-1, *(1 for _ in drawn.shape[1:]))
            drawn = drawn * np.asarray(self.scale, np.float32).reshape(channels)
        return (drawn.T if self.transposed else drawn).astype(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Weights:
    """All weights of one model that are drawn again.

    ``data_files`` are ONNX's external data: tensors one after another, each at the next multiple
    of ``ALIGNMENT``, by the file's path in the model's folder. ``programs`` are the parameters of
    torch programs, by the program's path and the parameter's name.
    """

    draws: dict[str, Draw] = field(default_factory=dict)
    data_files: dict[str, list[Derived]] = field(default_factory=dict)
    programs: dict[str, dict[str, Derived]] = field(default_factory=dict)

    def write_data_files(self, folder: Path) -> None:
        """Write every data file into the model's ``folder``, where it does not lie yet."""
        for name, tensors in self.data_files.items():
            path = folder / name
            size = sum(aligned(tensor.n_bytes) for tensor in tensors)
            if path.exists() and path.stat().st_size == size:
                continue
            with path.open("wb") as file:
                for tensor in tensors:
                    data = tensor.values(self.draws).tobytes()
                    file.write(data.ljust(aligned(len(data)), b"\0"))

    def to_json(self) -> str:
        """The numbers that all follows from, as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Weights":
        """Read what :meth:`to_json` wrote; raises :class:`BundleError` for anything else."""
        try:
            data = json.loads(text)
            return cls(
                draws={name: Draw(**_tuples(draw)) for name, draw in data["draws"].items()},
                data_files={
                    name: [Derived(**_tuples(tensor)) for tensor in tensors]
                    for name, tensors in data["data_files"].items()
                },
                programs={
                    name: {key: Derived(**_tuples(tensor)) for key, tensor in tensors.items()}
                    for name, tensors in data["programs"].items()
                },
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(
                f"the recipe for the weights cannot be read ({error}): make the bundle again"
            ) from error


def aligned(n_bytes: int) -> int:
    """``n_bytes`` rounded up to where the next tensor may begin."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def derive(array: Array, draws: Iterable[Draw]) -> Derived | None:
    """What ``array``, float32 or float16, was made of, if of one of ``draws``."""
    for draw in draws:
        if prod(draw.shape) != array.size:
            continue
        for transposed in (False, True):
            found = _derived(array, draw, transposed=transposed)
            if found is not None:
                return found
    return None


def _derived(array: Array, draw: Draw, *, transposed: bool) -> Derived | None:
    target = array.squeeze()
    target = target.T if transposed else target
    if target.shape != tuple(n for n in draw.shape if n > 1) or target.ndim < 2:
        return None
    tolerance = 1e-5 if array.dtype == np.float32 else 2e-3
    first = target[:1].reshape(1, -1).astype(np.float32)
    # One channel tells most others apart, and is drawn much sooner than all.
    if _scale(first, _drawn(draw, first.size).reshape(1, -1), tolerance) is None:
        return None
    channels = len(target)
    rows = target.reshape(channels, -1).astype(np.float32)
    scale = _scale(rows, draw.values().reshape(channels, -1), tolerance)
    if scale is None:
        return None
    plain = np.abs(scale - 1).max() < tolerance
    return Derived(
        draw=draw.name,
        shape=array.shape,
        dtype=array.dtype.name,
        transposed=transposed,
        scale=None if plain else tuple(scale.tolist()),
    )


def _scale(target: Array, drawn: Array, tolerance: float) -> Array | None:
    """The factors [C] that make ``drawn`` [C, N] to ``target``, if there are such."""
    scale = (target * drawn).sum(1) / np.maximum((drawn * drawn).sum(1), 1e-30)
    difference = np.abs(target - drawn * scale[:, None]).max()
    return scale if difference <= tolerance * max(np.abs(target).max(), 1e-30) else None


@lru_cache(maxsize=CACHED_DRAWS)
def _all_drawn(draw: Draw) -> Array:
    values = _drawn(draw, prod(draw.shape)).reshape(draw.shape)
    values.flags.writeable = False
    return values


def _drawn(draw: Draw, count: int) -> Array:
    """The first ``count`` numbers; float32, shape = (count,)."""
    seed = int.from_bytes(hashlib.sha256(draw.name.encode()).digest()[:8], "big")
    raw = np.random.PCG64(seed).random_raw(-(-count // 2)).view(np.uint32)[:count]
    # 24 bits are what a float32 holds exactly; the deviation of [-1, 1) is 1/sqrt(3).
    unit = (raw >> 8).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    return unit * np.float32(draw.std * 3**0.5)


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists back to tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
