"""Heat maps as PNG images, small enough to stand in a page."""

import base64
import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LEVELS: Final = 32
_COLORS: Final = ((8, 6, 30), (84, 15, 109), (187, 55, 84), (249, 142, 9), (252, 253, 191))
"""From 0 to 1: dark to bright, in steps that print in grey as well."""


def heat_map(values: NDArray[Any]) -> str:
    """``values [height, width]`` in 0 to 1, the first row on top, as a ``data:`` address.

    A PNG of 8-bit palette indices (ISO/IEC 15948): ``_LEVELS`` shades compress well.
    """
    height, width = values.shape
    indices = np.rint(np.clip(values, 0, 1) * (_LEVELS - 1)).astype(np.uint8)
    rows = np.pad(indices, ((0, 0), (1, 0)))  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in (
            (b"IHDR", header),
            (b"PLTE", _palette()),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _palette() -> bytes:
    at = np.linspace(0, len(_COLORS) - 1, _LEVELS)
    channels = [
        np.interp(at, range(len(_COLORS)), channel) for channel in zip(*_COLORS, strict=True)
    ]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8).tobytes()  # [levels, 3]


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
