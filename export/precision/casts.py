"""Places the casts between fp16 and fp32 in a graph: one for each tensor and type, no other."""

from collections.abc import Iterator
from typing import Final

import onnx
from onnx import NodeProto, TensorProto, helper

_FLOATS: Final = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}
_ANY_TYPE: Final = ("Shape", "Size")


def place_casts(graph: onnx.GraphProto) -> None:
    """Remove all casts between float types from ``graph``, and put back those that are needed.

    ONNX Runtime's converter sends a value from one fp32 node to the next through fp16, where it
    may overflow, and leaves its casts behind the nodes that use them. ``value_info`` must have the
    type of every tensor.
    """
    _Casts(graph).place()


class _Casts:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        values = (*graph.value_info, *graph.input, *graph.output)
        self._types = {value.name: value.type.tensor_type.elem_type for value in values}
        self._types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        self._source: dict[str, str] = {}  # what is cast, by the name of the result
        self._nodes: list[NodeProto] = []
        for node in graph.node:
            if self._is_between_floats(node):
                self._source[node.output[0]] = node.input[0]
            else:
                self._nodes.append(node)

    def place(self) -> None:
        nodes = [placed for node in self._nodes for placed in (*self._casts_for(node), node)]
        nodes += self._casts_to_outputs(nodes)
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _is_between_floats(self, node: NodeProto) -> bool:
        types = {self._types.get(name) for name in (*node.input, *node.output)}
        return node.op_type == "Cast" and types <= set(_FLOATS)

    def _origin(self, name: str) -> str:
        while name in self._source:
            name = self._source[name]
        return name

    def _casts_for(self, node: NodeProto) -> Iterator[NodeProto]:
        """Connect ``node`` to the origins of its inputs; where types differ, by new casts."""
        for index, name in enumerate(node.input):
            origin = self._origin(name)
            if origin == name:
                continue
            wanted = self._types[name]
            if self._types[origin] == wanted or node.op_type in _ANY_TYPE:
                node.input[index] = origin
                continue
            result = f"{origin}_{_FLOATS[wanted]}"
            node.input[index] = result
            if result not in self._types:
                self._types[result] = wanted
                yield _cast(origin, wanted, result)

    def _casts_to_outputs(self, nodes: list[NodeProto]) -> Iterator[NodeProto]:
        """Let the graph's outputs come from their origins: renamed, or cast where types differ."""
        renamed = {}
        for output in self._graph.output:
            origin, wanted = self._origin(output.name), self._types[output.name]
            if self._types[origin] != wanted:
                yield _cast(origin, wanted, output.name)
            elif origin != output.name:
                renamed[origin] = output.name
        for node in nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]


def _cast(name: str, to: int, result: str) -> NodeProto:
    return helper.make_node("Cast", [name], [result], to=to, name=f"{result}/Cast")
