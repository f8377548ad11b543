"""Finds the Triton server in this environment: files of the ``nvidia-pytriton`` wheel."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from server.errors import InstallationError

STUB_NAME = "triton_python_backend_stub"
FIX = "install the 'server' extra of this project: pip install '.[server]'"


@dataclass(frozen=True)
class Installation:
    """Files of the wheel: the server, its python backend, the worker program for this Python."""

    binary: Path
    python_backend: Path
    stub: Path


def find_installation() -> Installation:
    """Locate the wheel's files without importing it.

    Raises ``InstallationError`` if it is missing or has no stub for this Python.
    """
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise InstallationError(f"nvidia-pytriton is not installed for {sys.executable}: {FIX}")
    root = Path(spec.submodule_search_locations[0]) / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stubs = root / "python_backend_stubs"
    installation = Installation(
        binary=root / "bin" / "tritonserver",
        python_backend=root / "backends" / "python",
        stub=stubs / version / STUB_NAME,
    )
    if not installation.stub.is_file():
        known = sorted(path.name for path in stubs.glob("*"))
        raise InstallationError(
            f"nvidia-pytriton has no stub for Python {version}, only for {known}: use one of them"
        )
    if not installation.binary.is_file():
        raise InstallationError(f"nvidia-pytriton has no server at {installation.binary}: {FIX}")
    return installation
