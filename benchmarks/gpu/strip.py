"""Large weights out of ONNX graphs and torch programs, where they can be drawn again.

What flows through: a model's parameters are replaced by draws → it is exported → every large
weight in its graphs and programs that can be recognised as made of a draw leaves the file, and how
it was made goes into :class:`Weights`. What is not recognised travels as it is.

Runs where checkpoints are exported: it needs onnx and torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, external_data_helper, numpy_helper
from torch import nn

from benchmarks.gpu.weights import Derived, Draw, aligned, derive


def draw_parameters(module: nn.Module, name: str, large: int) -> dict[str, Draw]:
    """Replace the weights of ``module`` with ``large`` elements and more; the draws by name.

    The draws are of the weights' deviation. Vectors stay: they are small.
    """
    draws = {}
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if parameter.numel() >= large and parameter.squeeze().ndim >= 2:
                # A float of few digits, so that JSON, Python and NumPy mean the same number.
                deviation = float(f"{parameter.std().item():.6g}")
                draw = Draw(f"{name}/{key}", tuple(parameter.shape), deviation)
                parameter.copy_(torch.tensor(draw.values()))
                draws[draw.name] = draw
    return draws


def strip_graph(path: Path, draws: Sequence[Draw]) -> list[Derived]:
    """Take the large weights out of the ONNX graph at ``path``, in place.

    They become external data, in the order and places of the returned tensors, of a file beside
    it that is named after it with ``.data``, and is not there yet.
    """
    graph = onnx.load(path)
    tensors: list[Derived] = []
    offset = 0
    for initializer in graph.graph.initializer:
        found = _made_of(initializer, draws)
        if found is not None:
            _set_external(initializer, f"{path.name}.data", offset, found.n_bytes)
            offset += aligned(found.n_bytes)
            tensors.append(found)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    # Not onnx.save, which would look for the data that is to be external.
    path.write_bytes(graph.SerializeToString())
    return tensors


def strip_program(
    program: torch.export.ExportedProgram, draws: Sequence[Draw]
) -> dict[str, Derived]:
    """Set the program's large weights to zero, in place; what they were made of, by name."""
    found = {}
    for name, tensor in program.state_dict.items():
        made_of = derive(tensor.detach().numpy(), draws)
        if made_of is not None:
            found[name] = made_of
            tensor.detach().zero_()  # zeros take no room in a compressed archive
    return found


def _made_of(initializer: TensorProto, draws: Sequence[Draw]) -> Derived | None:
    floating = (TensorProto.FLOAT, TensorProto.FLOAT16)
    if initializer.data_type not in floating:
        return None
    return derive(numpy_helper.to_array(initializer), draws)


def _set_external(tensor: Any, location: str, offset: int, length: int) -> None:
    if not tensor.HasField("raw_data"):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    external_data_helper.set_external_data(tensor, location, offset=offset, length=length)
    tensor.ClearField("raw_data")
