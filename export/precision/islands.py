"""Chooses the nodes of a graph that stay in fp32 when the others become fp16.

fp16 ends at 65504 and has 11 bits. Sums over the frames, squares, and lengths exceed it, which the
graph's structure shows; other values may grow large on real audio, which running the fp32 graph on
examples shows.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from export.precision.ranges import Range

LIMIT: Final = 16_000.0
"""The largest value in fp16, a fourth of what it can hold: other audio may be louder than the
examples. The -10000 of masked attention scores lies below."""
SMALLEST_NORMAL: Final = float(np.finfo(np.float16).smallest_normal)

FP32_OPERATORS: Final = frozenset(
    "ArgMax BatchNormalization CumSum Exp GroupNormalization InstanceNormalization"
    " LayerNormalization Log LogSoftmax LpNormalization MeanVarianceNormalization Pow Range"
    " ReduceL2 ReduceLogSumExp ReduceMean ReduceSum ReduceSumSquare Scan Sqrt TopK".split()
)
"""A Scan is a recurrence, whose rounding accumulates from frame to frame."""
_ELEMENTWISE: Final = frozenset(("Add", "Div", "Mul", "Pow", "Reciprocal", "Sqrt", "Sub"))
_MEANS: Final = frozenset(("ReduceMean", "ReduceSum", "ReduceSumSquare"))
_PRODUCTS: Final = frozenset(("Einsum", "Gemm", "MatMul"))
_FROM_OTHER_TYPES: Final = frozenset(("Cast", "Where"))
_OF_SHAPES: Final = frozenset(("Shape", "Size"))
_INTEGERS: Final = frozenset(
    (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8)
)


def fp32_nodes(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> list[str]:
    """The names of the nodes of ``model`` that stay in fp32, with constants that only they use.

    ``model`` has the types of all tensors in ``value_info``, and a name for each node; ``ranges``
    are of its activations on examples.
    """
    return _Islands(model.graph, ranges).names()


class _Islands:
    """One pass over the nodes in order, then one backwards for the constants."""

    def __init__(self, graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> None:
        self._graph = graph
        self._beyond_fp16 = {name for name, ends in ranges.items() if max(map(abs, ends)) > LIMIT}
        self._beyond_fp16 |= _weights_beyond_fp16(graph)
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
        # Log-probabilities: what selects among them must return them unrounded.
        self._scores: set[str] = set()
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
            or bool(tensors & (self._counts | self._scores))
            or (node.op_type in _PRODUCTS and bool(tensors & self._masks))
            or bool(tensors & self._beyond_fp16)
        )

    def _classify(self, node: NodeProto) -> None:
        inputs, outputs = set(node.input), set(node.output)
        if node.op_type == "LogSoftmax" or inputs & self._scores:
            self._scores |= outputs & self._floats
        if node.op_type not in _OF_SHAPES and inputs & self._activations:
            self._activations |= outputs & self._floats
        elif node.op_type in _OF_SHAPES or not inputs <= self._constants:
            for kind, of in ((self._masks, self._booleans), (self._counts, self._integers)):
                if inputs & kind or (node.op_type in _FROM_OTHER_TYPES and inputs & of):
                    kind.update(outputs & self._floats)
        else:
            self._constants |= outputs

    def _normalises(self, node: NodeProto) -> bool:
        """Whether ``node`` is part of a normalisation written as mean, deviation and division."""
        if node.op_type not in _ELEMENTWISE | _MEANS:
            return False
        part = node.op_type in _MEANS or bool(set(node.input) & self._normalising)
        if part and node.op_type != "Div":
            self._normalising |= set(node.output)
        return part


def _weights_beyond_fp16(graph: onnx.GraphProto) -> set[str]:
    """Float weights that fp16 cannot hold: too large, or small all over."""
    weights = [(tensor.name, tensor) for tensor in graph.initializer]
    weights += [
        (node.output[0], attribute.t)
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and attribute.name == "value"
    ]
    return {
        name
        for name, tensor in weights
        if tensor.data_type == TensorProto.FLOAT and not _fits_fp16(numpy_helper.to_array(tensor))
    }


def _fits_fp16(weights: np.ndarray[Any, Any]) -> bool:
    largest = float(np.abs(weights).max(initial=0.0))
    return largest == 0.0 or SMALLEST_NORMAL <= largest <= LIMIT
