"""The driver is called as its header says: a library with the same functions answers here."""

import ctypes

import pytest

from export.engine import device
from export.engine.device import Gpu, device_memory, visible_gpus
from export.errors import EngineError


@pytest.mark.usefixtures("gpu")
def test_what_is_uploaded_comes_down_again_and_everything_is_freed():
    library = ctypes.CDLL(device.LIBRARY)
    data = bytes(range(256)) * 4099  # zero bytes inside
    with device_memory() as memory:
        addresses = [memory.upload(data), memory.upload(data[::-1])]
        assert [memory.download(address, len(data)) for address in addresses] == [data, data[::-1]]
        memory.synchronize()
        assert library.liveBuffers() == 2
    assert library.liveBuffers() == 0


@pytest.mark.usefixtures("gpu")
def test_buffers_are_freed_when_the_block_fails():
    with pytest.raises(KeyError), device_memory() as memory:  # noqa: PT012
        memory.allocate(1)
        raise KeyError
    assert ctypes.CDLL(device.LIBRARY).liveBuffers() == 0


@pytest.mark.usefixtures("gpu")
def test_a_gpu_without_enough_memory_is_an_error_in_cudas_words():
    message = "cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY"
    with device_memory() as memory, pytest.raises(EngineError, match=message):
        memory.allocate(1 << 40)


@pytest.mark.usefixtures("gpu")
def test_every_visible_gpu_is_named(monkeypatch):
    monkeypatch.setenv("FAKE_GPUS", "NVIDIA One,NVIDIA Two")
    assert visible_gpus() == (Gpu("NVIDIA One", "9.0"), Gpu("NVIDIA Two", "9.0"))


@pytest.mark.usefixtures("gpu")
def test_no_gpu_is_an_error_that_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("FAKE_GPUS", "")
    with pytest.raises(EngineError, match="--gpus all"):
        visible_gpus()


def test_no_driver_is_an_error_that_says_where_to_run(monkeypatch):
    monkeypatch.setattr(device, "LIBRARY", "libcuda_of_nobody.so.1")
    with pytest.raises(EngineError, match="run this beside the GPU"):
        visible_gpus()
