"""A driver library and a TensorRT package that stand in for those beside a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from export.engine import device
from tests.engine import fake_tensorrt
from tests.engine.support import write_repository

GPU = "NVIDIA Test"


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """A folder with stand-ins for the driver's library and TensorRT's."""
    folder = tmp_path_factory.mktemp("libraries")
    source = Path(__file__).with_name("libcuda.c")
    for name in (device.LIBRARY, "libnvinfer.so.11"):
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-Wall", "-o", folder / name, source], check=True
        )
    return folder


@pytest.fixture
def gpu(libraries, monkeypatch):
    """One GPU."""
    monkeypatch.setattr(device, "LIBRARY", str(libraries / device.LIBRARY))
    monkeypatch.setenv("FAKE_GPUS", GPU)


@pytest.fixture(params=["10.5.0", "11.4.0.106"])
def tensorrt(request, gpu, monkeypatch):  # noqa: ARG001
    """The stand-in for TensorRT, as both versions, beside a GPU."""
    package = fake_tensorrt.package(request.param)
    monkeypatch.setitem(sys.modules, "tensorrt", package)
    return package


@pytest.fixture
def repository(tmp_path):
    return write_repository(tmp_path / "repository")
