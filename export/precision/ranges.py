"""The ranges of activations, which tell what overflows fp16 and what int8 has to span.

ONNX Runtime's calibration gives the same, but its time grows with the square of a graph's nodes,
and it holds several copies of the weights.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from onnx import TensorProto, helper

from export.errors import GraphError
from export.graph import save_graph
from export.precision.feeds import Feed, run
from export.precision.files import load_with_types

Range = tuple[float, float]
_EXTREMES: Final = ("ReduceMin", "ReduceMax")


def activation_ranges(source: Path, feeds: Iterable[Feed]) -> dict[str, Range]:
    """The least and the largest value of each float tensor at ``source`` over all ``feeds``.

    Both are infinite where a value is not a number. Activations are not kept.
    Raises ``GraphError`` when there are no feeds.
    """
    with TemporaryDirectory(dir=source.parent) as folder:
        path = Path(folder) / source.name
        names = _write_with_extremes(source, path)
        ranges = dict.fromkeys(names, (np.inf, -np.inf))
        outputs: Feed = {}
        for outputs in run(path, feeds):
            for name, (low, high) in ranges.items():
                lowest, highest = (outputs[f"{name}/{operator}"] for operator in _EXTREMES)
                ranges[name] = (
                    float(np.nan_to_num(lowest, nan=-np.inf, neginf=-np.inf).min(initial=low)),
                    float(np.nan_to_num(highest, nan=np.inf, posinf=np.inf).max(initial=high)),
                )
    if not outputs:
        raise GraphError(
            f"{source} has to be run on utterances, and got none: give some", path=source
        )
    return ranges


def _write_with_extremes(source: Path, target: Path) -> list[str]:
    """Write the graph with the extremes of every float tensor as further outputs; their names."""
    model = load_with_types(source)
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    names = sorted({v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT})
    for name in names:
        for operator in _EXTREMES:
            result = f"{name}/{operator}"
            model.graph.node.append(helper.make_node(operator, [name], [result]))
            model.graph.output.append(
                helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
            )
    save_graph(model, target)
    return names
