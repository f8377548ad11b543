"""A stand-in for TensorRT's Python package, to see what our code does with its answers.

It shows nothing of TensorRT itself. Its classes have only members that the real ones have, which
``test_tensorrt_api.py`` checks, so our code can call nothing that is not there. "Graphs" are JSON
files: inputs with their types, layers with kind, inputs and output, and which layers ``overflow``
in half precision. Types follow from the inputs as in a strongly typed network, and a "plan" gives
NaN when a layer that overflows computes in half precision.
"""

# ruff: noqa: D101, D102, ARG002  # names and arguments are TensorRT's, documented there

import ctypes
import enum
import json
import math
import sys
from array import array
from types import ModuleType
from typing import Any, ClassVar

DataType = enum.Enum("DataType", "FLOAT HALF BF16 INT32 INT64")
LayerType = enum.Enum(
    "LayerType",
    "ACTIVATION CAST CONSTANT CONVOLUTION EINSUM ELEMENTWISE MATRIX_MULTIPLY NORMALIZATION REDUCE"
    " SCALE SHUFFLE SOFTMAX UNARY",
)
MemoryPoolType = enum.Enum("MemoryPoolType", "WORKSPACE")
BuilderFlag = enum.Enum("BuilderFlag", "TF32")
NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
TensorIOMode = enum.Enum("TensorIOMode", "INPUT OUTPUT")
HALVES = (DataType.HALF, DataType.BF16)


class ILogger:
    Severity = enum.Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")

    def __init__(self):
        pass

    def log(self, severity, msg):
        raise NotImplementedError


class Logger(ILogger):
    ERROR = ILogger.Severity.ERROR

    def __init__(self, min_severity):
        pass


class IProgressMonitor:
    def __init__(self):
        pass


class ITensor:
    def __init__(self, name, layer=None, dtype=None):
        self.name = name
        self.is_network_output = False
        self._layer = layer
        self._dtype = dtype

    @property
    def dtype(self):
        return self._dtype or self._layer._output_type()


class ILayer:
    def __init__(self, name, type_, inputs, output, to_type=None):
        self.name = name
        self.type = type_
        self.num_inputs = len(inputs)
        self.num_outputs = 1
        self._inputs = inputs
        self._output = ITensor(output, self)
        self._to_type = to_type

    def get_input(self, index):
        return self._inputs[index]

    def get_output(self, index):
        return [self._output][index]

    def set_input(self, index, tensor):
        self._inputs[index] = tensor

    def _output_type(self):
        if self._to_type:
            return self._to_type
        types = {tensor.dtype for tensor in self._inputs if tensor}
        assert len(types) == 1, f"{self.name} mixes {types}"
        return types.pop()


class INetworkDefinition:
    def __init__(self):
        self._inputs, self._layers, self._outputs, self._overflow = [], [], [], []

    num_inputs = property(lambda self: len(self._inputs))
    num_layers = property(lambda self: len(self._layers))

    def get_input(self, index):
        return self._inputs[index]

    def get_layer(self, index):
        return self._layers[index]

    def add_cast(self, input, to_type):  # noqa: A002  # TensorRT's name
        name = f"{input.name}_{to_type.name}"
        self._layers.append(ILayer(f"cast_{name}", LayerType.CAST, [input], name, to_type))
        return self._layers[-1]

    def _read(self, graph):
        tensors = {n: ITensor(n, dtype=DataType[t]) for n, t in graph["inputs"].items()}
        self._inputs = list(tensors.values())
        for name, (kind, inputs, output, *to_type) in graph["layers"].items():
            sources = [tensors[source] for source in inputs]
            to = DataType[to_type[0]] if to_type else None
            layer = ILayer(name, LayerType[kind], sources, output, to)
            self._layers.append(layer)
            tensors[output] = layer.get_output(0)
        self._outputs = [tensors[name] for name in graph["outputs"]]
        for tensor in self._outputs:
            tensor.is_network_output = True
        self._overflow = graph["overflow"]

    def _serialized(self):
        finite = all(
            tensor.dtype not in HALVES
            for layer in self._layers
            if layer.name in self._overflow
            for tensor in layer._inputs
        )
        return {
            "inputs": {tensor.name: tensor.dtype.name for tensor in self._inputs},
            "outputs": {tensor.name: tensor.dtype.name for tensor in self._outputs},
            "finite": finite,
        }


class ParserError:
    def desc(self):
        return "unsupported"

    def node_name(self):
        return "/strange"

    def node_operator(self):
        return "Strange"


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network
        self.num_errors = 1

    def parse_from_file(self, model):
        with open(model, encoding="utf-8") as file:  # noqa: PTH123  # TensorRT takes a string
            graph = json.load(file)
        self._network._read(graph)
        return not graph.get("strange")

    def get_error(self, index):
        return [ParserError()][index]


class ITimingCache:
    def __init__(self, content):
        self._content = content

    def serialize(self):
        return self._content + b"timed"


class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):  # noqa: A002  # TensorRT's names
        self._shapes[input] = (min, opt, max)


class IBuilderConfig:
    def __init__(self):
        self.builder_optimization_level = 3
        self.progress_monitor = None
        self._calls = []

    def set_memory_pool_limit(self, pool, pool_size):
        self._calls.append((pool.name, pool_size))

    def clear_flag(self, flag):
        self._calls.append(("clear", flag.name))

    def add_optimization_profile(self, profile):
        self._calls.append(("profile", profile._shapes))
        return 0

    def create_timing_cache(self, serialized_timing_cache):
        return ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache, ignore_mismatch):
        self._calls.append(("cache", cache._content, ignore_mismatch))
        return not cache._content.startswith(b"other")


class Builder:
    configs: ClassVar[list[Any]] = []
    networks: ClassVar[list[Any]] = []

    def __init__(self, logger):
        self._logger = logger

    def create_network(self, flags=0):
        self.networks.append(flags)
        return INetworkDefinition()

    def create_builder_config(self):
        self.configs.append(IBuilderConfig())
        return self.configs[-1]

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        config.progress_monitor.phase_start("Building", None, 2)
        for step in range(2):
            if not config.progress_monitor.step_complete("Building", step):
                return None
        config.progress_monitor.phase_finish("Building")
        if "unbuildable" in network._overflow:
            self._logger.log(ILogger.Severity.ERROR, "no implementation of /unbuildable")
            return None
        return json.dumps(network._serialized()).encode()


class IExecutionContext:
    def __init__(self, plan):
        self._plan, self._shapes, self._addresses = plan, {}, {}

    def set_input_shape(self, name, shape):
        self._shapes[name] = shape
        return True

    def get_tensor_shape(self, name):
        assert name in self._plan["outputs"]
        return next(iter(self._shapes.values()))

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        value = 0.0 if self._plan["finite"] else math.nan
        for name in self._plan["outputs"]:
            data = array("f", [value]) * math.prod(self.get_tensor_shape(name))
            ctypes.memmove(self._addresses[name], data.tobytes(), len(data) * data.itemsize)
        return True


class ICudaEngine:
    def __init__(self, plan):
        self._plan = plan
        self._types = {**plan["inputs"], **plan["outputs"]}
        self.num_io_tensors = len(self._types)

    def get_tensor_name(self, index):
        return list(self._types)[index]

    def get_tensor_dtype(self, name):
        return DataType[self._types[name]]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._plan["inputs"] else TensorIOMode.OUTPUT

    def create_execution_context(self, strategy=None):
        return IExecutionContext(self._plan)


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, serialized_engine):
        return ICudaEngine(json.loads(serialized_engine))


def package(version):
    """The stand-in as a module of that version, with nothing built yet."""
    module = ModuleType("tensorrt")
    module.__dict__.update(vars(sys.modules[__name__]), __version__=version)
    Builder.configs.clear()
    Builder.networks.clear()
    return module
