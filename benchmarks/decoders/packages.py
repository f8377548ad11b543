"""Packages that are only here to be compared with, or to draw: imported when they are needed."""

from importlib import import_module
from typing import Any

from benchmarks.errors import ProviderError


def optional(module: str, package: str) -> Any:
    """The module; raises :class:`ProviderError` when its package is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ProviderError(
            f"{package} cannot be imported ({error}): pip install {package}"
        ) from error
