"""Other people's packages: those whose versions matter, and those that need not be there."""

from importlib import import_module
from typing import Any, Final

from benchmarks.errors import ProviderError

PACKAGES: Final = ("tritonclient", "grpcio", "nvidia-pytriton", "onnxruntime", "numpy", "kenlm")
"""Whose versions matter to a load."""


def optional(module: str, package: str) -> Any:
    """The module; raises :class:`ProviderError` when its package is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ProviderError(
            f"{package} cannot be imported ({error}): pip install {package}"
        ) from error
