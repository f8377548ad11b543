"""Which exported graphs TensorRT can run, by its published operator table.

TensorRT's parser runs only beside the GPU, but its table of operators is published:
``operators.json`` is that table as data, with source and version. Flow: graph → a sentence for each
part of it that TensorRT cannot run.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import NodeProto, TensorProto, defs, helper, numpy_helper

TABLE: Final[Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("operators.json").read_text(encoding="utf-8")
)
MAX_SHAPE_TENSOR_ELEMENTS: Final = 64
"""Tensors that decide shapes are limited to this (``nvinfer1::ITensor``)."""

_TYPE_NAMES: Final[Mapping[int, str]] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.DOUBLE: "FP64",
}
_INTERNAL_TYPES: Final = {*TABLE["input_output_types"], "INT8"} - {"UINT8"}

# The type variables of ONNX's operator schemas that the table's column of types is about; for
# operators not listed it is the first input's.
_DATA_TYPES: Final = {
    "Cast": ("T1", "T2"),
    "Constant": ("T",),
    "ConstantOfShape": ("T2",),
    "Where": ("T",),
}
_REDUCTIONS: Final = tuple(name for name in TABLE["operators"] if name.startswith("Reduce"))
# Inputs that must be constant, by operator.
_CONSTANT_INPUTS: Final[Mapping[str, tuple[int, ...]]] = {
    "CumSum": (1,),
    "DequantizeLinear": (1, 2),
    "Dropout": (2,),
    "OneHot": (1,),
    "QuantizeLinear": (1, 2),
    "STFT": (1, 2),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    **dict.fromkeys(_REDUCTIONS, (1,)),
}
# Inputs whose values, not shapes, decide the shape of the output.
_SHAPE_INPUTS: Final[Mapping[str, tuple[int, ...]]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2, 4),
    "Split": (1,),
    "Tile": (1,),
    "TopK": (1,),
}
_SHAPE_READERS: Final = ("Shape", "Size")
# Restrictions of the table that the checks below cover, or that ONNX itself makes.
_CHECKED: Final = {*_CONSTANT_INPUTS, "Constant", "LayerNormalization", "TopK"}
_MOST_K: Final = 3839
_INLINE_BYTES: Final = 1024


def obstacles(model: onnx.ModelProto) -> list[str]:
    """What TensorRT cannot run in ``model``, a sentence each; empty when it can run all.

    Weights are not needed (``load_external_data=False``).
    """
    graph = _Graph.of(model)
    problems = [*_opset_problems(model), *_border_problems(model.graph)]
    for node in graph.nodes:
        name = node.name or f"that makes {node.output[0]}"
        problems += [
            f"node {name} ({node.op_type}): {problem}" for problem in _node_problems(node, graph)
        ]
    return problems


@dataclass(frozen=True)
class _Graph:
    """A graph's nodes, including those of its branches, and the known facts of its tensors.

    ``types`` are element types by tensor, ``inputs`` the shapes of the graph's inputs, None where
    an axis is free.
    """

    opset: int
    nodes: tuple[NodeProto, ...]
    types: Mapping[str, int]
    initializers: Mapping[str, TensorProto]
    producers: Mapping[str, NodeProto]
    inputs: Mapping[str, tuple[int | None, ...]]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "_Graph":
        graphs = tuple(_graphs(onnx.shape_inference.infer_shapes(_without_weights(model)).graph))
        nodes = tuple(node for graph in graphs for node in graph.node)
        values = [v for g in graphs for v in (*g.input, *g.output, *g.value_info)]
        initializers = {item.name: item for graph in graphs for item in graph.initializer}
        types = {value.name: value.type.tensor_type.elem_type for value in values}
        types |= {name: item.data_type for name, item in initializers.items()}
        return cls(
            opset=_opset(model),
            nodes=nodes,
            types=types,
            initializers=initializers,
            producers={name: node for node in nodes for name in node.output},
            inputs={value.name: _shape(value) for value in graphs[0].input},
        )

    def type(self, name: str) -> str | None:
        """A tensor's type as the table writes it, None when unknown."""
        element = self.types.get(name, TensorProto.UNDEFINED)
        if element == TensorProto.UNDEFINED:
            return None
        return _type_name(element)

    def constant(self, name: str) -> bool:
        """Whether a tensor is known when the engine is built."""
        if name in self.initializers:
            return True
        producer = self.producers.get(name)
        return producer is not None and all(map(self.constant, filter(None, producer.input)))

    def value(self, name: str) -> Any:
        """A small constant's array, None when there is none in the graph."""
        if name in self.initializers:
            tensor = self.initializers[name]
            return None if _is_external(tensor) else numpy_helper.to_array(tensor)
        producer = self.producers.get(name)
        if producer is None or producer.op_type != "Constant":
            return None
        values = [item.t for item in producer.attribute if item.name == "value"]
        return numpy_helper.to_array(values[0]) if values else None

    def shape_sources(self, name: str, seen: set[str]) -> Iterator[str]:
        """The graph's inputs whose values (not shapes) go into ``name``."""
        if name in seen:
            return
        seen.add(name)
        producer = self.producers.get(name)
        if name in self.inputs and name not in self.initializers:
            yield name
        elif producer is not None and producer.op_type not in _SHAPE_READERS:
            for source in filter(None, producer.input):
                yield from self.shape_sources(source, seen)


def _opset_problems(model: onnx.ModelProto) -> Iterator[str]:
    first, last = TABLE["opsets"]
    if not first <= _opset(model) <= last:
        yield f"the graph is of opset {_opset(model)}, TensorRT reads {first} to {last}"


def _border_problems(graph: onnx.GraphProto) -> Iterator[str]:
    weights = {item.name for item in graph.initializer}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            name = _type_name(value.type.tensor_type.elem_type)
            if value.name not in weights and name not in TABLE["input_output_types"]:
                known = ", ".join(TABLE["input_output_types"])
                yield f"{kind} {value.name} is {name}; TensorRT's inputs and outputs are {known}"


def _node_problems(node: NodeProto, graph: _Graph) -> Iterator[str]:
    if node.domain not in ("", "ai.onnx"):
        yield f"is of the domain {node.domain}; TensorRT has ONNX's own operators only"
        return
    entry = TABLE["operators"].get(node.op_type, {"types": []})
    if not entry["types"]:
        since = [version for version, names in TABLE["added"].items() if node.op_type in names]
        yield f"TensorRT has it from {since[0]} on" if since else "TensorRT has no such operator"
        return
    restriction = entry.get("restriction")
    if restriction and node.op_type not in _CHECKED:
        yield f"TensorRT restricts it ({restriction}), which is not checked here"
    yield from _type_problems(node, graph, entry["types"])
    yield from _constant_problems(node, graph)
    yield from _zero_point_problems(node, graph)
    yield from _shape_problems(node, graph)
    if node.op_type == "LayerNormalization" and any(node.output[1:]):
        yield "TensorRT gives only its first output"
    if node.op_type == "TopK":
        yield from _top_problems(node, graph)


def _type_problems(node: NodeProto, graph: _Graph, types: list[str]) -> Iterator[str]:
    """Types that the operator does not take, or that one type variable cannot be at once."""
    schema = defs.get_schema(node.op_type, graph.opset, "")
    data = _DATA_TYPES.get(node.op_type) or (schema.inputs[0].type_str,)
    found: dict[str, dict[str, None]] = {}
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for index, name in enumerate(names):
            actual = graph.type(name) if name else None
            if actual is not None:
                variable = formal[min(index, len(formal) - 1)].type_str
                found.setdefault(variable, {})[actual] = None
    for variable, actuals in found.items():
        allowed = types if variable in data else _INTERNAL_TYPES
        for actual in actuals:
            if actual not in allowed:
                yield f"{actual} is none of its types in TensorRT: {', '.join(sorted(allowed))}"
        if len(actuals) > 1:
            yield f"mixes {' and '.join(actuals)}, which a strongly typed network refuses"


def _constant_problems(node: NodeProto, graph: _Graph) -> Iterator[str]:
    for index in _CONSTANT_INPUTS.get(node.op_type, ()):
        name = node.input[index] if index < len(node.input) else ""
        if name and not graph.constant(name):
            yield f"its input {name} must be a constant"


def _top_problems(node: NodeProto, graph: _Graph) -> Iterator[str]:
    count = graph.value(node.input[1])
    if count is None or count > _MOST_K:
        yield f"its K must be a constant of at most {_MOST_K}"
    if any(item.name == "sorted" and not item.i for item in node.attribute):
        yield "its values must be sorted"


def _zero_point_problems(node: NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
        return
    if not node.input[2]:
        return
    zero_point = graph.value(node.input[2])
    if zero_point is None:
        yield f"its zero point {node.input[2]} cannot be read, and TensorRT takes only 0"
    elif zero_point.any():
        yield f"its zero point {node.input[2]} is not 0, and TensorRT takes only 0 (symmetric)"


def _shape_problems(node: NodeProto, graph: _Graph) -> Iterator[str]:
    """Shapes decided by the values of an input that is not a small tensor of fixed shape."""
    for index in _SHAPE_INPUTS.get(node.op_type, ()):
        name = node.input[index] if index < len(node.input) else ""
        for source in graph.shape_sources(name, set()) if name else ():
            if not _can_decide_shapes(graph.inputs[source]):
                yield (
                    f"its output's shape depends on the values of the input {source}, which"
                    " TensorRT allows only for inputs of fixed shape with at most"
                    f" {MAX_SHAPE_TENSOR_ELEMENTS} elements"
                )


def _can_decide_shapes(shape: tuple[int | None, ...]) -> bool:
    elements = 1
    for axis in shape:
        if axis is None:
            return False
        elements *= axis
    return elements <= MAX_SHAPE_TENSOR_ELEMENTS


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and its subgraphs: the branches of If, the bodies of loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large initializers have only types and shapes, so that it stays small."""
    graph = model.graph
    return helper.make_model(
        helper.make_graph(
            graph.node,
            graph.name,
            graph.input,
            graph.output,
            [
                tensor if _size(tensor) <= _INLINE_BYTES else _external(tensor)
                for tensor in graph.initializer
            ],
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )


def _external(tensor: TensorProto) -> TensorProto:
    stub = TensorProto(
        name=tensor.name,
        data_type=tensor.data_type,
        dims=tensor.dims,
        data_location=TensorProto.EXTERNAL,
    )
    stub.external_data.add(key="location", value="weights")
    return stub


def _is_external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _size(tensor: TensorProto) -> int:
    return int(tensor.ByteSize())


def _type_name(element: int) -> str:
    return str(_TYPE_NAMES.get(element, TensorProto.DataType.Name(element)))


def _opset(model: onnx.ModelProto) -> int:
    versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
