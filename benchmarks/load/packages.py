"""Packages whose versions matter to a load."""

from typing import Final

PACKAGES: Final = ("tritonclient", "grpcio", "nvidia-pytriton", "onnxruntime", "numpy", "kenlm")
