"""What serving on a GPU asks of a machine and of a config, as far as it shows without a GPU."""

import importlib.util
import sys
from pathlib import Path

import pytest

from server import EmbeddedServer, ServerOptions, StartError, free_ports
from server.backend_directory import BACKENDS
from server.installation import find_installation
from tests.needs import needs_hardware
from tests.server.harness import IDENTITY_CONFIG, identity, write_model


@pytest.fixture(scope="module")
def backend():
    """The backend's module, with the python backend's own utilities beside it."""
    place = str(find_installation().python_backend)
    sys.path.append(place)
    try:
        spec = importlib.util.spec_from_file_location(
            "backend_model", BACKENDS / "onnxruntime" / "model.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(place)
    return module


def config(accelerators=(), **parameters):
    """A model's config as Triton hands it to the backend."""
    return {
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
        "optimization": {
            "execution_accelerators": {"gpu_execution_accelerator": list(accelerators)}
        },
    }


@needs_hardware(there=not Path("/dev/nvidiactl").exists(), what="a machine without a GPU")
def test_a_machine_without_a_gpu_does_not_serve_on_the_cpu_in_silence(tmp_path):
    write_model(tmp_path, "identity", identity(), IDENTITY_CONFIG)
    with (
        pytest.raises(StartError, match="put every model on the CPU"),
        EmbeddedServer(ServerOptions(tmp_path, gpu=True, **free_ports())),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            config(),
            {"cudnn_conv_algo_search": "EXHAUSTIVE", "arena_extend_strategy": "kNextPowerOfTwo"},
        ),
        (
            config(cudnn_conv_algo_search="1", arena_extend_strategy="1", gpu_mem_limit="123"),
            {
                "cudnn_conv_algo_search": "HEURISTIC",
                "arena_extend_strategy": "kSameAsRequested",
                "gpu_mem_limit": "123",
            },
        ),
        (
            config([{"name": "cuda", "parameters": {"use_tf32": "0", "gpu_mem_limit": "1"}}]),
            {
                "cudnn_conv_algo_search": "EXHAUSTIVE",
                "arena_extend_strategy": "kNextPowerOfTwo",
                "use_tf32": "0",
                "gpu_mem_limit": "1",
            },
        ),
    ],
    ids=["the native defaults", "parameters of the model", "parameters of the accelerator"],
)
def test_cuda_gets_the_options_that_the_native_backend_would_give_it(backend, given, expected):
    assert backend._cuda_options(given, 3) == {**expected, "device_id": "3"}


def test_an_instance_on_a_gpu_needs_a_runtime_that_has_cuda(backend):
    (problem,) = backend._gpu_problems(config(), 0)
    assert "no CUDAExecutionProvider: install onnxruntime-gpu in its place" in problem


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config(cudnn_conv_algo_search="3"), "'3', expected one of 0 (EXHAUSTIVE), 1 (HEURISTIC)"),
        (config(arena_extend_strategy="x"), "parameter arena_extend_strategy is 'x'"),
        (config([{"name": "tensorrt"}]), "the tensorrt accelerator needs NVIDIA's container"),
    ],
)
def test_what_cannot_run_on_a_gpu_is_refused_there_and_not_on_a_cpu(backend, given, message):
    assert any(message in problem for problem in backend._gpu_problems(given, 0))
    assert not list(backend._gpu_problems(given, None))


def test_triton_says_which_device_an_instance_is_on(backend):
    assert backend._device({"model_instance_kind": "GPU", "model_instance_device_id": "2"}) == 2
    assert backend._device({"model_instance_kind": "CPU", "model_instance_device_id": "0"}) is None
