"""The GPU through CUDA's driver library: its name, and memory on it.

``libcuda.so.1`` comes with the driver, so every container that sees a GPU has it, with any version
of the CUDA toolkit. Its functions have kept their signatures since CUDA 4.
TensorRT works in the device's primary context, which is the one retained here.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from export.errors import EngineError

LIBRARY: Final = "libcuda.so.1"

_SUCCESS: Final = 0
_CAPABILITY_MAJOR: Final = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_CAPABILITY_MINOR: Final = 76
_NAME_BYTES: Final = 256


@dataclass(frozen=True)
class Gpu:
    """A GPU's name, and its compute capability such as ``9.0``."""

    name: str
    compute_capability: str

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in CUDA's order.

    Raises ``EngineError`` when there is none, or no driver.
    """
    driver = _Driver()
    count = ctypes.c_int()
    driver.call("cuDeviceGetCount", ctypes.byref(count))
    if count.value == 0:
        raise EngineError(
            "no GPU is visible: start the container with --gpus all, and see CUDA_VISIBLE_DEVICES"
        )
    return tuple(_gpu(driver, index) for index in range(count.value))


@contextmanager
def device_memory() -> Iterator["DeviceMemory"]:
    """Memory on the first visible GPU, in its primary context; freed afterwards."""
    driver = _Driver()
    device, context = ctypes.c_int(), ctypes.c_void_p()
    driver.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
    driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    memory = DeviceMemory(driver)
    try:
        driver.call("cuCtxSetCurrent", context)
        yield memory
    except BaseException:
        # After an error every further call fails too: the first error tells why.
        with suppress(EngineError):
            memory.free()
        with suppress(EngineError):
            driver.call("cuDevicePrimaryCtxRelease_v2", device)
        raise
    memory.free()
    driver.call("cuDevicePrimaryCtxRelease_v2", device)


class DeviceMemory:
    """Buffers on a GPU."""

    def __init__(self, driver: "_Driver") -> None:
        self._driver = driver
        self._addresses: list[int] = []

    def allocate(self, size_bytes: int) -> int:
        """The address of a new buffer; raises ``EngineError`` when memory is short."""
        address = ctypes.c_uint64()
        self._driver.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size_bytes))
        self._addresses.append(address.value)
        return address.value

    def upload(self, data: bytes) -> int:
        """The address of a new buffer that holds ``data``."""
        address = self.allocate(len(data))
        size = ctypes.c_size_t(len(data))
        self._driver.call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), ctypes.c_char_p(data), size)
        return address

    def download(self, address: int, size_bytes: int) -> bytes:
        """The content at ``address``."""
        data = ctypes.create_string_buffer(size_bytes)
        size = ctypes.c_size_t(size_bytes)
        self._driver.call("cuMemcpyDtoH_v2", data, ctypes.c_uint64(address), size)
        return data.raw

    def synchronize(self) -> None:
        """Wait for all work; raises ``EngineError`` if it failed."""
        self._driver.call("cuCtxSynchronize")

    def free(self) -> None:
        """Free every buffer."""
        while self._addresses:
            self._driver.call("cuMemFree_v2", ctypes.c_uint64(self._addresses.pop()))


class _Driver:
    """The driver library; every call is checked."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise EngineError(
                f"NVIDIA's driver ({LIBRARY}) is not here: run this beside the GPU, in a container"
                " started with --gpus all (docs/tensorrt.md)"
            ) from error
        self.call("cuInit", ctypes.c_uint(0))

    def call(self, function: str, *arguments: Any) -> None:
        """Call ``function``; raises ``EngineError`` with CUDA's name of the error."""
        code = getattr(self._library, function)(*arguments)
        if code != _SUCCESS:
            name = ctypes.c_char_p()
            self._library.cuGetErrorName(ctypes.c_int(code), ctypes.byref(name))
            reason = (name.value or b"error %d" % code).decode()
            raise EngineError(f"CUDA's {function} failed: {reason}")


def _gpu(driver: _Driver, index: int) -> Gpu:
    device = ctypes.c_int()
    driver.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.call("cuDeviceGetName", name, ctypes.c_int(_NAME_BYTES), device)
    capability = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        value = ctypes.c_int()
        driver.call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(attribute), device)
        capability.append(str(value.value))
    return Gpu(name.value.decode(), ".".join(capability))
