"""Finds the installed TensorRT: its Python package, or at least its library."""

import ctypes
from importlib import import_module
from typing import Any, Final

from export.errors import EngineError

SUPPORTED_MAJORS: Final = (10, 11)
_ADVICE: Final = (
    "run this command in NVIDIA's container nvcr.io/nvidia/tensorrt:YY.MM-py3, of the same YY.MM"
    " as the tritonserver that will serve the plans (docs/tensorrt.md)"
)


def load_tensorrt() -> Any:
    """TensorRT's Python package.

    Raises ``EngineError`` when it is missing or of an unsupported version.
    """
    try:
        tensorrt: Any = import_module("tensorrt")
    # Its bindings also fail with OSError or RuntimeError where the libraries are missing.
    except Exception as error:
        raise EngineError(f"TensorRT's Python package is missing ({error}): {_ADVICE}") from error
    version = str(tensorrt.__version__)
    if int(version.partition(".")[0]) not in SUPPORTED_MAJORS:
        raise EngineError(
            f"TensorRT {version} is not supported; plans are built with"
            f" {' and '.join(map(str, SUPPORTED_MAJORS))}: {_ADVICE}"
        )
    return tensorrt


def tensorrt_version() -> str:
    """The version of TensorRT here, from its library: ``10.5.0``.

    Triton's container has the library, but not always the Python package. Raises
    ``EngineError`` when the library is missing.
    """
    for major in reversed(SUPPORTED_MAJORS):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:
            continue
        number = library.getInferLibVersion()  # 100500 is 10.5.0
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    raise EngineError(
        f"TensorRT's library (libnvinfer.so.{SUPPORTED_MAJORS[-1]}) is not here: check plans in"
        " the container that serves them (docs/tensorrt.md)"
    )
