"""User input in messages: shortened, however long it is."""

from collections.abc import Collection
from pathlib import PurePath
from reprlib import Repr
from typing import Any, Final

_HEAD: Final = 100
_TAIL: Final = 60


def shortened(given: object) -> str:
    """``str(given)``, of a long text its beginning and its end, where paths tell most.

    Bytes and arrays are described instead of printed, and other collections show a few elements.
    """
    if isinstance(given, (str, PurePath, BaseException)):
        text = str(given)
    else:
        text = _SHORT.repr(given) if isinstance(given, Collection) else _instance(given)
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}… ({len(text):,} characters) …{text[-_TAIL:]}"


def _instance(given: Any) -> str:
    """An array by its type and shape, which tell what it is; anything else as it prints."""
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if shape is None or dtype is None:
        return str(given)
    return f"<{type(given).__name__} of {dtype} {list(shape)}>"


class _Short(Repr):
    """Python's own abbreviations, extended to bytes and arrays of any library."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 3

    def repr_bytes(self, given: bytes, level: int) -> str:  # noqa: ARG002
        return f"<{len(given):,} bytes>"

    repr_bytearray = repr_bytes

    def repr_instance(self, x: Any, level: int) -> str:
        return _instance(x) if hasattr(x, "dtype") else super().repr_instance(x, level)


_SHORT: Final = _Short()
