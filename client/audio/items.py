"""What callers hand over as one recording: a source, or samples in an array of any library.

Flow: item → a source or ``Clip`` → ``read_blocks``, or samples and their rate → ``pcm_blocks``.
"""

from collections.abc import Iterator, Mapping
from numbers import Number
from operator import index
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError
from ..utils.shortened import shortened
from .conversion import Pcm, pcm_blocks
from .options import AudioOptions, AudioSource, Clip, Warn
from .reading import read_blocks, too_long
from .sources import name_of


class SupportsArray(Protocol):
    """An array of any library that converts itself to NumPy, such as a tensor on the CPU."""

    def __array__(self) -> NDArray[Any]: ...


class SupportsDLPack(Protocol):
    """An array of any library that lends its memory (``numpy.from_dlpack``)."""

    def __dlpack__(self) -> Any: ...


class SupportsDecoding(Protocol):
    """torchcodec's ``AudioDecoder``, as Hugging Face's data sets give it from version 4 on."""

    def get_all_samples(self) -> Any:
        """``data``, floating ``[channels, n]``, and their ``sample_rate``."""


Samples: TypeAlias = NDArray[Any] | SupportsArray | SupportsDLPack
"""``[n]`` or ``[n, channels]``, int16 or floating in [-1, 1]."""

AudioItem: TypeAlias = (
    AudioSource | Clip | Samples | tuple[Samples, int] | Mapping[str, Any] | SupportsDecoding
)
"""One recording: a path, the bytes of a file, an open binary file, or a ``Clip`` of these; samples,
at the model's rate unless they come as ``(samples, rate_hz)``; or what Hugging Face's data sets
give: an ``AudioDecoder``, ``{"array": …, "sampling_rate": …}``, or, as ``Audio(decode=False)``,
``{"bytes": …, "path": …}``."""

_CONVERTED: Final = ("__array__", "__array_interface__")
_ARRAYS: Final = (*_CONVERTED, "__dlpack__")


def read_item(
    item: AudioItem, sample_rate_hz: int, options: AudioOptions, warn: Warn
) -> Iterator[Pcm]:
    """The item as mono PCM at ``sample_rate_hz``, in blocks ``int16 [n]``.

    Of ``options``, ``channel`` and ``max_duration_s`` hold for arrays too. Raises ``AudioError`` as
    ``read_blocks`` and ``to_pcm`` do, and for what is no recording.
    """
    given: Any = item
    if isinstance(item, Mapping):
        given = _of_mapping(item)
    elif _decodes(item):
        decoded = given.get_all_samples()
        given = _as_numpy(decoded.data).T, decoded.sample_rate
    if not (isinstance(given, (tuple, list)) or _is_array(given)):
        yield from read_blocks(given, sample_rate_hz, options, warn)
        return
    array, rate_hz = _with_rate(given) if isinstance(given, tuple) else (given, sample_rate_hz)
    samples = _as_numpy(array)
    length_s = len(np.atleast_1d(samples)) / rate_hz
    if length_s > options.max_duration_s:
        raise too_long(length_s, options.max_duration_s)
    yield from pcm_blocks(samples, rate_hz, sample_rate_hz, options.channel)


def item_name(item: AudioItem) -> str:
    """What ``AudioError.source`` calls the item: as ``name_of``, or its type."""
    given: Any = item
    try:
        if isinstance(item, Mapping):
            given = _of_mapping(item)
        return name_of(given.source if isinstance(given, Clip) else given)
    except Exception:  # noqa: BLE001 -- items are others' code
        return f"an item of type {type(item).__name__}"


def is_single(items: Any) -> bool:
    """Whether these are not several items but one, whose parts would be taken for items."""
    if isinstance(items, (str, bytes, Path, Clip, Mapping)) or hasattr(items, "read"):
        return True
    if _decodes(items):
        return True
    if isinstance(items, (tuple, list)):
        with_rate = isinstance(items, tuple) and len(items) == 2 and isinstance(items[1], Number)
        return with_rate or (len(items) > 0 and isinstance(items[0], Number))
    return _is_array(items) or _has_buffer(items)


def _decodes(item: Any) -> bool:
    return hasattr(item, "get_all_samples")


def _is_array(item: Any) -> bool:
    return any(hasattr(item, name) for name in _ARRAYS)


def _has_buffer(item: Any) -> bool:
    try:
        memoryview(item)
    except TypeError:
        return False
    return True


def _of_mapping(item: Mapping[str, Any]) -> tuple[Any, Any] | Any:
    if "array" in item and "sampling_rate" in item:
        return item["array"], item["sampling_rate"]
    for name in ("bytes", "path"):
        if item.get(name) is not None:
            return item[name]
    raise AudioError(
        f"the item is a dictionary with {shortened(list(item))}, expected one with 'array' and "
        "'sampling_rate', or with 'bytes' or 'path'"
    )


def _with_rate(item: tuple[Any, ...]) -> tuple[Any, int]:
    try:
        samples, rate = item
        rate_hz = index(rate)
    except (ValueError, TypeError) as error:
        raise AudioError(
            f"the item is a tuple {shortened(item)}, expected (samples, rate_hz), the rate a whole "
            "number"
        ) from error
    if rate_hz < 1:
        raise AudioError(f"the sample rate is {rate_hz} Hz, expected that of the samples")
    return samples, rate_hz


def _as_numpy(given: Any) -> NDArray[Any]:
    """The samples as they are, without a copy where the library allows it."""
    if isinstance(given, np.ndarray):  # first: asarray() drops the mask of a masked array
        return given
    if not _is_array(given):
        raise AudioError(
            f"the item is a {type(given).__name__}, {shortened(given)}, expected one recording: "
            "samples as numpy.array(samples, numpy.float32), several through Transcriber.transcribe"
        )
    try:
        only_dlpack = not any(hasattr(given, name) for name in _CONVERTED)
        return np.from_dlpack(given) if only_dlpack else np.asarray(given)
    except MemoryError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {shortened(error)}"
        raise AudioError(
            f"a {type(given).__name__} cannot be read as a NumPy array ({said}): convert it first, "
            "as a tensor by tensor.detach().cpu().numpy()"
        ) from error
