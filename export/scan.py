"""A recurrence over the frames as ONNX's ``Scan``, which torch's tracing exporter cannot write.

ONNX's own LSTM has no projection, and folding it into the recurrent weights would make them several
times as large. So ``scanned`` leaves a node of its own in a traced graph, and ``expand``
replaces it by a Scan:

gates [B, T, 4D] → Scan over T, state (output [B, P], cell [B, D]) → outputs [B, T, P]
"""

from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

DOMAIN: Final = "nemo_ctc"
NODE: Final = "ProjectedLSTM"
GATES: Final = 4
"""Input, forget, cell and output gate, in torch's order."""


def scanned(
    gates: Tensor, recurrent: Tensor, projection: Tensor, *, backwards: bool = False
) -> Tensor:
    """Outputs of an LSTM with projection, float32 [B, T, P], from a state of zeros.

    Args:
        gates: the inputs' share of the gates, with biases; float32, shape = (B, T, 4D).
        recurrent: weights from the last output to the gates, shape = (P, 4D).
        projection: weights from the cell's output to the output, shape = (D, P).
        backwards: from the last frame to the first.
    """
    width, channels = projection.shape
    output = gates.new_zeros(gates.shape[0], channels)
    cell = gates.new_zeros(gates.shape[0], width)
    outputs: Tensor = _Scanned.apply(output, cell, gates, recurrent, projection, backwards)
    return outputs


class _Scanned(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # the node's inputs
        _context: Any,
        output: Tensor,
        cell: Tensor,
        gates: Tensor,
        recurrent: Tensor,
        projection: Tensor,
        backwards: bool,  # noqa: FBT001  # torch passes all by position
    ) -> Tensor:
        steps = gates.unbind(1)
        outputs = []
        for step in reversed(steps) if backwards else steps:
            i, f, g, o = (step + output @ recurrent).chunk(GATES, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            output = (o.sigmoid() * cell.tanh()) @ projection
            outputs.append(output)
        return torch.stack(outputs[::-1] if backwards else outputs, 1)

    @staticmethod
    def symbolic(graph: Any, *inputs: Any) -> Any:
        *tensors, backwards = inputs
        outputs = graph.op(f"{DOMAIN}::{NODE}", *tensors, backwards_i=int(backwards))
        _, channels = tensors[-1].type().sizes()
        return outputs.setType(tensors[0].type().with_sizes([None, None, channels]))


def expand(model: onnx.ModelProto) -> None:
    """Replace each node of ``scanned`` in ``model`` by a Scan that has its weights."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    moved = set()
    for node in graph.node:
        if node.op_type == NODE:
            _, _, _, recurrent, projection = node.input
            node.CopyFrom(_scan(node, weights[recurrent], weights[projection]))
            moved |= {recurrent, projection}
    kept = [tensor for tensor in graph.initializer if tensor.name not in moved]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    others = [item for item in model.opset_import if item.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(others)


def _scan(node: NodeProto, recurrent: TensorProto, projection: TensorProto) -> NodeProto:
    output, cell, gates, *_ = node.input
    (outputs,) = node.output
    (backwards,) = (attribute.i for attribute in node.attribute)
    return helper.make_node(
        "Scan",
        [output, cell, gates],
        [f"{outputs}/last_output", f"{outputs}/last_cell", outputs],
        name=node.name,
        body=_body(recurrent, projection),
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[backwards],
        scan_output_axes=[1],
        scan_output_directions=[backwards],
    )


def _body(recurrent: TensorProto, projection: TensorProto) -> GraphProto:
    """One step: output [B, P], cell [B, D] and gates [B, 4D] to the next output and cell."""
    width, channels = projection.dims
    nodes = [
        helper.make_node("MatMul", ["output", "recurrent"], ["recurred"]),
        helper.make_node("Add", ["gates", "recurred"], ["all_gates"]),
        helper.make_node("Split", ["all_gates", "widths"], ["i", "f", "g", "o"], axis=1),
        *(helper.make_node("Sigmoid", [gate], [f"{gate}_open"]) for gate in "ifo"),
        helper.make_node("Tanh", ["g"], ["candidate"]),
        helper.make_node("Mul", ["f_open", "cell"], ["remembered"]),
        helper.make_node("Mul", ["i_open", "candidate"], ["taken"]),
        helper.make_node("Add", ["remembered", "taken"], ["next_cell"]),
        helper.make_node("Tanh", ["next_cell"], ["squashed"]),
        helper.make_node("Mul", ["o_open", "squashed"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "projection"], ["next_output"]),
        helper.make_node("Identity", ["next_output"], ["frame"]),
    ]
    return helper.make_graph(
        nodes,
        NODE,
        [_value("output", channels), _value("cell", width), _value("gates", GATES * width)],
        [_value("next_output", channels), _value("next_cell", width), _value("frame", channels)],
        [
            _renamed(recurrent, "recurrent"),
            _renamed(projection, "projection"),
            numpy_helper.from_array(np.full(GATES, width, np.int64), "widths"),
        ],
    )


def _value(name: str, channels: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels])


def _renamed(tensor: TensorProto, name: str) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy
