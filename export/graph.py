"""Torch modules to ONNX files with declared names, types and axes."""

import tempfile
import warnings
from pathlib import Path
from typing import Final

import onnx
import torch
from onnx import TensorProto
from torch import nn

from export.errors import GraphError
from export.scan import expand
from export.tensors import Model, Tensor

OPSET: Final = 17
IR_VERSION: Final = 8  # opset 17's own; read by ONNX Runtime 1.19 (Triton 24.10) and later
MAX_GRAPH_BYTES: Final = 1_900_000_000
"""Larger weights go to a file beside the graph: a protobuf message is limited to 2 GiB."""

WEIGHTS_SUFFIX: Final = ".data"

_EXPORTER_NOTICES: Final = (
    "You are using the legacy TorchScript-based ONNX export",
    "The feature will be removed",
    "Constant folding",
)
"""torch's remarks on the tracing exporter, which we use because the newer one cannot export masks.
Tracer warnings are not among them: they report values that became constants."""

_ONNX_TYPES: Final = {
    "FP32": TensorProto.FLOAT,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
}


def export_graph(
    module: nn.Module, model: Model, example: tuple[torch.Tensor, ...], path: Path
) -> None:
    """Trace ``module`` on ``example`` and write it to ``path`` with the axes of ``model``.

    Raises ``GraphError`` when the module cannot be traced, or the graph is not as declared.
    """
    # Beyond 2 GiB torch writes a file for each weight, so it gets a folder of its own.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        traced = Path(folder) / path.name
        try:
            _trace(module, model, example, traced)
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            first_line = str(error).partition("\n")[0]
            raise GraphError(
                f"the {model.role} cannot be traced into ONNX: {first_line}", path=path
            ) from error
        graph = onnx.load(traced)
    expand(graph)
    graph.ir_version = IR_VERSION
    # Tracing invents names for free output axes, and forgets fixed ones behind a Where.
    for declared, output in zip(model.outputs, graph.graph.output, strict=True):
        _set_axes(output, declared)
    save_graph(graph, path)
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(
            f"the {model.role}'s graph is not valid ONNX: {error}", path=path
        ) from error
    check_graph(onnx.load(path, load_external_data=False), model)


def save_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write ``graph``, with its weights in a file of their own when they are too large for one.

    ``graph`` then no longer holds them in memory.
    """
    external = sum(len(tensor.raw_data) for tensor in graph.graph.initializer) > MAX_GRAPH_BYTES
    weights = path.with_name(path.name + WEIGHTS_SUFFIX)
    onnx.save(graph, path, save_as_external_data=external, location=weights.name)
    if external:
        weights.chmod(path.stat().st_mode)  # onnx lets nobody else read it


def _trace(module: nn.Module, model: Model, example: tuple[torch.Tensor, ...], path: Path) -> None:
    names = [tensor.name for tensor in (*model.inputs, *model.outputs)]
    with torch.no_grad(), warnings.catch_warnings():
        for notice in _EXPORTER_NOTICES:
            warnings.filterwarnings("ignore", message=notice)
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=names[: len(model.inputs)],
            output_names=names[len(model.inputs) :],
            dynamic_axes={
                tensor.name: {
                    axis: label for axis, label in enumerate(tensor.axes) if isinstance(label, str)
                }
                for tensor in (*model.inputs, *model.outputs)
            },
            opset_version=OPSET,
            dynamo=False,
        )


def check_graph(graph: onnx.ModelProto, model: Model) -> None:
    """Compare names, types and axes with the declaration.

    Raises ``GraphError`` naming every difference.
    """
    problems = [
        *_differences("input", model.inputs, list(graph.graph.input)),
        *_differences("output", model.outputs, list(graph.graph.output)),
    ]
    if problems:
        raise GraphError(
            f"the {model.role}'s graph is not as declared: " + "; ".join(problems),
            problems=problems,
        )


def _differences(
    kind: str, declared: tuple[Tensor, ...], actual: list[onnx.ValueInfoProto]
) -> list[str]:
    by_name = {value.name: value for value in actual}
    expected = [tensor.name for tensor in declared]
    if list(by_name) != expected:
        return [f"{kind}s are {list(by_name)}, expected {expected}"]
    problems = []
    for tensor in declared:
        value = by_name[tensor.name].type.tensor_type
        axes = tuple(dim.dim_value or dim.dim_param for dim in value.shape.dim)
        if value.elem_type != _ONNX_TYPES[tensor.type]:
            found = TensorProto.DataType.Name(value.elem_type)
            problems.append(f"{kind} {tensor.name} is {found}, expected {tensor.type}")
        if axes != tensor.axes:
            problems.append(f"{kind} {tensor.name} has axes {axes}, expected {tensor.axes}")
    return problems


def _set_axes(value: onnx.ValueInfoProto, tensor: Tensor) -> None:
    shape = value.type.tensor_type.shape
    traced = [dim.dim_value for dim in shape.dim]
    for axis, label in zip(traced, tensor.axes, strict=True):
        if axis and axis != label:
            raise GraphError(f"{tensor.name} was traced with a fixed axis {axis} for {label!r}")
    del shape.dim[:]
    for label in tensor.axes:
        if isinstance(label, int):
            shape.dim.add(dim_value=label)
        else:
            shape.dim.add(dim_param=label)
