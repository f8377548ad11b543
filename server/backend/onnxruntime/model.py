"""ONNX Runtime as a Python-based Triton backend, in place of the native ``onnxruntime``.

Triton's python stub loads this file and runs every model whose ``config.pbtxt`` says
``backend: "onnxruntime"``. Flow: the requests of one scheduler batch, each with its own tensors →
one feed (ragged inputs flattened, the others concatenated, ``batch_input`` tensors built) → one
``session.run`` → outputs split by each request's batch size.

This backend rejects every config that the native backend rejects, so that a repository which loads
here also loads in production. It also rejects at load what only the native backend serves:
sequences, ``batch_output``, other ``batch_input`` kinds, strings, TensorRT on a GPU.

A model with the lowest priority (``optimization { priority }``) yields the CPU to the others. The
native backend ignores priorities.

If Triton gives an instance a GPU, its session runs on CUDA with the options that the native backend
would take from the same config; tensors still pass through host memory.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

Array = npt.NDArray[Any]
Config = Mapping[str, Any]

WILDCARD: Final = -1
TRITON_TYPES: Final = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
# The native backend's graph levels (`optimization { graph { level } }`); any other is "all".
GRAPH_LEVELS: Final = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
EXECUTION_MODES: Final = {
    0: ort.ExecutionMode.ORT_SEQUENTIAL,
    1: ort.ExecutionMode.ORT_PARALLEL,
}
BOOLEANS: Final = {"1": True, "true": True, "0": False, "false": False}
# Accelerators of GPU instances, which the native backend knows; no effect on a CPU.
GPU_ACCELERATORS: Final = ("cuda", "tensorrt")
CUDA_PROVIDER: Final = "CUDAExecutionProvider"
CPU_PROVIDER: Final = "CPUExecutionProvider"
# The native backend's numbers for ONNX Runtime's names; 0 is its default.
CUDA_CHOICES: Final = {
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
}
CUDA_SETTINGS: Final = ("gpu_mem_limit", "do_copy_in_default_stream")  # passed on unchanged
UNSUPPORTED: Final = ("sequence_batching", "batch_output")
LOW_PRIORITY: Final = "PRIORITY_MIN"
NICENESS: Final = 19  # the kernel's highest: it runs when nothing else does


class TritonPythonModel:
    """One model instance: an ONNX Runtime session and its config."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the graph and check the config against it.

        Raises ``TritonModelException`` with every mismatch found; Triton then reports the model
        as unavailable, with that reason.
        """
        self._config: Config = json.loads(args["model_config"])
        self._name = args["model_name"]
        path = _model_path(Path(args["model_repository"]) / args["model_version"], self._config)
        device = _device(args)
        if device is None and self._config.get("optimization", {}).get("priority") == LOW_PRIORITY:
            os.nice(NICENESS)  # each instance has its own process
        _raise_if(
            self._name,
            [
                *_parameter_problems(self._config),
                *_gpu_problems(self._config, device),
                *_file_problems(path),
            ],
        )
        self._session = ort.InferenceSession(
            str(path), _session_options(self._config), providers=_providers(self._config, device)
        )
        _raise_if(
            self._name,
            [
                *_provider_problems(self._session, device),
                *_graph_problems(self._config, self._session),
            ],
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a scheduler batch, one response per request.

        A failing run answers each request of its batch with the error; the instance keeps running.
        """
        if self._config["max_batch_size"]:
            return self._respond(requests)
        return [response for request in requests for response in self._respond([request])]

    def _respond(self, requests: Sequence[Any]) -> list[Any]:
        try:
            return self._run(requests)
        except Exception as error:  # noqa: BLE001  # the run's error is the requests' reply
            message = f"model {self._name!r}: {type(error).__name__}: {error}"
            return [
                pb_utils.InferenceResponse(error=pb_utils.TritonError(message)) for _ in requests
            ]

    def _run(self, requests: Sequence[Any]) -> list[Any]:
        tensors = [_tensors(request, self._config) for request in requests]
        wanted = [
            output["name"]
            for output in self._config["output"]
            if any(output["name"] in request.requested_output_names() for request in requests)
        ]
        values = self._session.run(wanted, _feed(tensors, self._config))
        parts = [_split(value, tensors, self._config) for value in values]
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, part[index])
                    for name, part in zip(wanted, parts, strict=True)
                    if name in request.requested_output_names()
                ]
            )
            for index, request in enumerate(requests)
        ]


# -- batches: requests to one feed, outputs back to requests ------------------------------------


def _tensors(request: Any, config: Config) -> dict[str, Array]:
    """The inputs of one request; optional ones may be absent."""
    tensors = {
        item["name"]: pb_utils.get_input_tensor_by_name(request, item["name"])
        for item in config["input"]
    }
    return {name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}


def _feed(tensors: Sequence[Mapping[str, Array]], config: Config) -> dict[str, Array]:
    """One feed for the whole batch, B utterances over all requests.

    Ragged inputs ``[b, n]`` become one flat vector, all others ``[B, ...]``. Each batch input
    becomes INT32 ``[B, rank of its source's items]``.
    """
    if not config["max_batch_size"]:
        return dict(tensors[0])
    feed = {}
    for item in config["input"]:
        arrays = [request[item["name"]] for request in tensors]
        if item["allow_ragged_batch"]:
            arrays = [array.ravel() for array in arrays]
        feed[item["name"]] = np.concatenate(arrays)
    for item in config["batch_input"]:
        shapes = [request[item["source_input"][0]].shape for request in tensors]
        rows = [np.tile(np.array(shape[1:], np.int32), (shape[0], 1)) for shape in shapes]
        feed[item["target_name"][0]] = np.concatenate(rows)
    return feed


def _split(
    output: Array, tensors: Sequence[Mapping[str, Array]], config: Config
) -> Sequence[Array]:
    """An output ``[B, ...]`` as one part ``[b, ...]`` per request."""
    if not config["max_batch_size"]:
        return [output]
    sizes = [next(iter(request.values())).shape[0] for request in tensors]
    if output.shape[0] != sum(sizes):
        raise ValueError(
            f"the graph made an output of shape {list(output.shape)} from a batch of {sum(sizes)}; "
            "its first dimension must be the batch"
        )
    return np.split(output, np.cumsum(sizes)[:-1])


# -- session: what the config asks of ONNX Runtime -----------------------------------------------


def _model_path(version: Path, config: Config) -> Path:
    path = version / (config.get("default_model_filename") or "model.onnx")
    return path / "model.onnx" if path.is_dir() else path


def _session_options(config: Config) -> Any:
    """The session options of a checked config."""
    options = ort.SessionOptions()
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    options.graph_optimization_level = GRAPH_LEVELS.get(
        level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    )
    options.execution_mode = EXECUTION_MODES[int(_parameter(config, "execution_mode", "0"))]
    # 0, like an absent parameter, means ONNX Runtime's default: every core of the machine.
    options.intra_op_num_threads = max(0, int(_parameter(config, "intra_op_thread_count", "0")))
    options.inter_op_num_threads = max(0, int(_parameter(config, "inter_op_thread_count", "0")))
    options.enable_cpu_mem_arena = BOOLEANS[_parameter(config, "enable_mem_arena", "1").lower()]
    options.enable_mem_pattern = BOOLEANS[_parameter(config, "enable_mem_pattern", "1").lower()]
    return options


def _device(args: Mapping[str, str]) -> int | None:
    """The GPU that Triton gives the instance; none on the CPU."""
    return int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None


def _providers(config: Config, device: int | None) -> list[Any]:
    """CUDA on ``device`` with the CPU as fallback for operators, or the CPU alone."""
    if device is None:
        return [CPU_PROVIDER]
    ort.preload_dlls()  # CUDA's and cuDNN's libraries may lie in NVIDIA's Python packages
    return [(CUDA_PROVIDER, _cuda_options(config, device)), CPU_PROVIDER]


def _cuda_options(config: Config, device: int) -> dict[str, str]:
    """The CUDA provider's options from a checked config, the same as the native backend's.

    The accelerator's parameters go to ONNX Runtime unread; the model's own override them.
    """
    options: dict[str, str] = {}
    for item in _gpu_accelerators(config):
        options |= item.get("parameters", {})
    for name, choices in CUDA_CHOICES.items():
        options[name] = choices[int(_parameter(config, name, "0"))]
    for name in CUDA_SETTINGS:
        if value := _parameter(config, name, ""):
            options[name] = value
    return {**options, "device_id": str(device)}


def _gpu_accelerators(config: Config) -> Sequence[Config]:
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    found: Sequence[Config] = accelerators.get("gpu_execution_accelerator", ())
    return found


def _parameter(config: Config, name: str, default: str) -> str:
    value: str = config.get("parameters", {}).get(name, {}).get("string_value", default)
    return value


# -- load checks: every message says what was expected, what was found, how to fix it ------------


def _raise_if(model: str, problems: Sequence[str]) -> None:
    if problems:
        raise pb_utils.TritonModelException(f"model {model!r}: " + "; ".join(problems))


def _file_problems(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"expected an ONNX graph at {path}, found none: export the model again"


def _parameter_problems(config: Config) -> Iterator[str]:
    """Problems of the config by itself: parameters, accelerators, unsupported fields."""
    for name in ("intra_op_thread_count", "inter_op_thread_count"):
        value = _parameter(config, name, "0")
        if not value.removeprefix("-").isdecimal():
            yield f"parameter {name} is {value!r}, expected a number of threads (0: all cores)"
    mode = _parameter(config, "execution_mode", "0")
    if mode not in {str(known) for known in EXECUTION_MODES}:
        yield f"parameter execution_mode is {mode!r}, expected '0' (sequential) or '1' (parallel)"
    for name in ("enable_mem_arena", "enable_mem_pattern"):
        value = _parameter(config, name, "1")
        if value.lower() not in BOOLEANS:
            yield f"parameter {name} is {value!r}, expected one of {sorted(BOOLEANS)}"
    for name in UNSUPPORTED:
        if config.get(name):
            yield f"{name} is not supported by the embedded onnxruntime backend: remove it"
    yield from _accelerator_problems(config)


def _accelerator_problems(config: Config) -> Iterator[str]:
    for item in _gpu_accelerators(config):
        if item["name"] not in GPU_ACCELERATORS:
            yield (
                f"unknown GPU execution accelerator {item['name']!r}, expected one of "
                f"{GPU_ACCELERATORS}"
            )
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for item in accelerators.get("cpu_execution_accelerator", ()):
        yield f"unknown CPU execution accelerator {item['name']!r}, none is supported: remove it"


def _gpu_problems(config: Config, device: int | None) -> Iterator[str]:
    """Problems of a session on a GPU; on a CPU the native backend reads none of these fields."""
    if device is None:
        return
    if CUDA_PROVIDER not in ort.get_available_providers():
        yield (
            f"Triton gave this instance a GPU, but this environment's onnxruntime {ort.__version__}"
            f" has no {CUDA_PROVIDER}: install onnxruntime-gpu in its place, or serve on the CPU"
        )
    for name, choices in CUDA_CHOICES.items():
        value = _parameter(config, name, "0")
        if value not in map(str, range(len(choices))):
            known = ", ".join(f"{index} ({choice})" for index, choice in enumerate(choices))
            yield f"parameter {name} is {value!r}, expected one of {known}"
    if any(item["name"] == "tensorrt" for item in _gpu_accelerators(config)):
        yield (
            "the tensorrt accelerator needs NVIDIA's container, for the embedded onnxruntime "
            "backend does not support it on a GPU: serve it there, or remove the accelerator"
        )


def _provider_problems(session: Any, device: int | None) -> Iterator[str]:
    """ONNX Runtime falls back to the CPU if CUDA does not start; a GPU instance must not."""
    if device is not None and CUDA_PROVIDER not in session.get_providers():
        yield (
            f"{CUDA_PROVIDER} did not start, for the reason in the log above: install the versions "
            "of CUDA and cuDNN that onnxruntime-gpu was built for"
        )


def _graph_problems(config: Config, session: Any) -> list[str]:
    """Mismatches of config and graph, by the native backend's rules."""
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    expected = len(config["input"]) + len(config["batch_input"])
    problems = []
    if expected != len(inputs):
        problems.append(
            f"config.pbtxt has {expected} inputs, batch_input included, the graph has "
            f"{len(inputs)}: {sorted(inputs)}; list each of them once"
        )
    for item in config["input"]:
        problems += _tensor_problems("input", item, inputs, config)
    for item in config["batch_input"]:
        problems += _batch_input_problems(item, inputs, config)
    for item in config["output"]:
        problems += _tensor_problems("output", item, outputs, config)
    return problems


def _tensor_problems(
    kind: str, item: Config, nodes: Mapping[str, Any], config: Config
) -> Iterator[str]:
    """Mismatches of one input or output: name, data type, shape."""
    label = f"{kind} {item['name']!r}"
    node = nodes.get(item["name"])
    if node is None:
        yield f"{label} is not in the graph, which has {sorted(nodes)}: correct its name"
        return
    if item.get("optional") and config["max_batch_size"]:
        yield f"{label} is optional, which models with max_batch_size > 0 cannot have"
    yield from _type_problems(label, item["data_type"], node)
    shape = _shape(node)
    if item.get("allow_ragged_batch"):
        if shape != [WILDCARD]:
            yield f"{label} allows ragged batches, so the graph must take [-1], it has {shape}"
        if not config["max_batch_size"]:
            yield f"{label} allows ragged batches, which needs max_batch_size > 0, it is 0"
        return
    dims = list(item.get("reshape", item).get("shape", item["dims"]))
    yield from _shape_problems(label, dims, shape, config, exact=kind == "output")


def _batch_input_problems(item: Config, nodes: Mapping[str, Any], config: Config) -> Iterator[str]:
    """One ``batch_input``: the only kind served is the shape of each item of one input."""
    target, source = item["target_name"][0], item["source_input"][0]
    label = f"batch_input {target!r}"
    if item["kind"] != "BATCH_ITEM_SHAPE":
        yield f"{label} has kind {item['kind']}, expected BATCH_ITEM_SHAPE: the only one served"
        return
    if item["data_type"] != "TYPE_INT32":
        yield f"{label} has data_type {item['data_type']}, expected TYPE_INT32"
    if not config["max_batch_size"]:
        yield f"{label} needs max_batch_size > 0, it is 0"
        return
    sources = {entry["name"]: entry for entry in config["input"]}
    if source not in sources:
        yield f"{label} has source_input {source!r}, expected one of {sorted(sources)}"
    elif target not in nodes:
        yield f"{label} is not in the graph, which has {sorted(nodes)}: correct its target_name"
    else:
        yield from _type_problems(label, item["data_type"], nodes[target])
        rank = len(sources[source]["dims"])
        yield from _shape_problems(label, [rank], _shape(nodes[target]), config, exact=False)


def _type_problems(label: str, expected: str, node: Any) -> Iterator[str]:
    actual = TRITON_TYPES.get(node.type)
    if actual is None:
        yield f"{label} is {node.type} in the graph, expected one of {sorted(TRITON_TYPES)}"
    elif actual != expected:
        yield f"{label} is {expected} in config.pbtxt and {actual} in the graph: write {actual}"


def _shape_problems(
    label: str, dims: list[int], shape: list[int], config: Config, *, exact: bool
) -> Iterator[str]:
    """Compare configured dims with the graph's; an input may narrow a free dimension of it."""
    full = [WILDCARD, *dims] if config["max_batch_size"] else dims
    if config["max_batch_size"] and (not shape or shape[0] != WILDCARD):
        yield (
            f"{label} has shape {shape} in the graph, whose first dimension must be free (-1) for "
            "max_batch_size > 0: export it with a dynamic batch"
        )
    elif len(full) != len(shape) or any(
        actual != wanted and (exact or actual != WILDCARD)
        for wanted, actual in zip(full, shape, strict=True)
    ):
        yield f"{label} has shape {full} by config.pbtxt and {shape} in the graph: make them equal"


def _shape(node: Any) -> list[int]:
    """A graph tensor's shape, -1 for every named or unknown dimension."""
    return [dim if isinstance(dim, int) else WILDCARD for dim in node.shape]
