"""Which nodes of a graph stay in fp32 when the others become fp16.

fp16 ends at 65504 and has 11 bits. Beyond it are sums over the frames, squares, and lengths, which
are known from the graph's structure; and whatever grows large on real audio, which is found by
running the fp32 graph on examples.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.graph import save_graph
from export.precision.feeds import Feed, run
from export.precision.files import load_with_types

LIMIT: Final = 16_000.0
"""The largest value in fp16, a fourth of what it can hold: other audio may be louder than the
examples. The -10000 of masked attention scores lies below."""
SMALLEST_NORMAL: Final = float(np.finfo(np.float16).smallest_normal)

FP32_OPERATORS: Final = frozenset(
    "ArgMax BatchNormalization CumSum Exp GroupNormalization InstanceNormalization"
    " LayerNormalization Log LogSoftmax LpNormalization MeanVarianceNormalization Pow Range"
    " ReduceL2 ReduceLogSumExp ReduceMean ReduceSum ReduceSumSquare Sqrt".split()
)
_LARGEST: Final = "largest"
_ELEMENTWISE: Final = frozenset(("Add", "Div", "Mul", "Pow", "Reciprocal", "Sqrt", "Sub"))
_MEANS: Final = frozenset(("ReduceMean", "ReduceSum", "ReduceSumSquare"))
_PRODUCTS: Final = frozenset(("Einsum", "Gemm", "MatMul"))
_FROM_OTHER_TYPES: Final = frozenset(("Cast", "Where"))
_OF_SHAPES: Final = frozenset(("Shape", "Size"))
_INTEGERS: Final = frozenset(
    (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8)
)


def largest_values(source: Path, feeds: Iterable[Feed]) -> dict[str, float]:
    """The largest magnitude of each float activation of the graph at ``source`` over all ``feeds``.

    It is infinite where a value is not a number.
    """
    model = load_with_types(source)
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    names = sorted({v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT})
    for name in names:
        magnitude, result = f"{name}/Abs", f"{name}/{_LARGEST}"
        model.graph.node.append(helper.make_node("Abs", [name], [magnitude]))
        model.graph.node.append(helper.make_node("ReduceMax", [magnitude], [result]))
        model.graph.output.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, None))
    results = [f"{name}/{_LARGEST}" for name in names]
    largest = dict.fromkeys(names, 0.0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_graph(model, path)
        del model
        for outputs in run(path, feeds, outputs=results):
            for name, result in zip(names, results, strict=True):
                value = float(np.nan_to_num(outputs[result], nan=np.inf).max(initial=0.0))
                largest[name] = max(largest[name], value)
    return largest


def fp32_nodes(model: onnx.ModelProto, largest: Mapping[str, float]) -> list[str]:
    """The names of the nodes of ``model`` that stay in fp32, with constants that only they use.

    ``model`` has the types of all tensors in ``value_info``, and a name for each node; ``largest``
    are the magnitudes of its activations on examples.
    """
    return _Islands(model.graph, largest).names()


class _Islands:
    """One pass over the nodes in order, then one backwards for the constants."""

    def __init__(self, graph: onnx.GraphProto, largest: Mapping[str, float]) -> None:
        self._graph = graph
        self._largest = {**largest, **_out_of_range_weights(graph)}
        values = (*graph.value_info, *graph.input, *graph.output)
        types = {value.name: value.type.tensor_type.elem_type for value in values}
        types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        self._floats = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
        self._integers = {name for name, kind in types.items() if kind in _INTEGERS}
        self._constants = {tensor.name for tensor in graph.initializer}
        self._booleans = {name for name, kind in types.items() if kind == TensorProto.BOOL}
        # Float tensors that hold no activation.
        self._masks: set[str] = set()
        self._counts: set[str] = set()
        self._normalising: set[str] = set()
        self._activations = {value.name for value in graph.input} & self._floats

    def names(self) -> list[str]:
        """Names of the nodes in fp32, in the graph's order."""
        nodes = list(self._graph.node)
        kept = {node.name for node in nodes if self._stays(node)}
        users: dict[str, set[str]] = {}
        for node in nodes:
            for name in node.input:
                users.setdefault(name, set()).add(node.name)
        for node in reversed(nodes):
            using = set().union(*(users.get(name, set()) for name in node.output))
            if set(node.output) <= self._constants and using and using <= kept:
                kept.add(node.name)
        return [node.name for node in nodes if node.name in kept]

    def _stays(self, node: NodeProto) -> bool:
        self._classify(node)
        normalises = self._normalises(node)
        tensors = {*node.input, *node.output} & self._floats
        if not tensors or set(node.output) <= self._constants:
            return False
        return (
            node.op_type in FP32_OPERATORS
            or normalises
            or bool(tensors & self._counts)
            or (node.op_type in _PRODUCTS and bool(tensors & self._masks))
            or any(self._largest.get(name, 0.0) > LIMIT for name in tensors)
        )

    def _classify(self, node: NodeProto) -> None:
        inputs, outputs = set(node.input), set(node.output)
        if node.op_type not in _OF_SHAPES and inputs & self._activations:
            self._activations |= outputs & self._floats
        elif node.op_type in _OF_SHAPES or not inputs <= self._constants:
            for kind, of in ((self._masks, self._booleans), (self._counts, self._integers)):
                if inputs & kind or (node.op_type in _FROM_OTHER_TYPES and inputs & of):
                    kind.update(outputs & self._floats)
        else:
            self._constants |= outputs

    def _normalises(self, node: NodeProto) -> bool:
        """Whether ``node`` is part of a mean, deviation and division spelled out."""
        if node.op_type not in _ELEMENTWISE | _MEANS:
            return False
        part = node.op_type in _MEANS or bool(set(node.input) & self._normalising)
        if part and node.op_type != "Div":
            self._normalising |= set(node.output)
        return part


def _out_of_range_weights(graph: onnx.GraphProto) -> dict[str, float]:
    """Infinity for each float weight that fp16 cannot hold: too large, or small all over."""
    weights = [(tensor.name, tensor) for tensor in graph.initializer]
    weights += [
        (node.output[0], attribute.t)
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and attribute.name == "value"
    ]
    return {
        name: float("inf")
        for name, tensor in weights
        if tensor.data_type == TensorProto.FLOAT and not _fits_fp16(numpy_helper.to_array(tensor))
    }


def _fits_fp16(weights: np.ndarray[Any, Any]) -> bool:
    largest = float(np.abs(weights).max(initial=0.0))
    return largest == 0.0 or SMALLEST_NORMAL <= largest <= LIMIT
