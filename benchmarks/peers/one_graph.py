"""The network from features to log-probabilities as one graph, under the names of NeMo's exporter.

``audio_signal`` float32 [B, F, T] and ``length`` int64 [B] → ``logprobs`` float32 [B, S, V]. Peers
give both inputs; NeMo's exporter drops ``length`` where it drops the masks.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, compose, helper

from benchmarks.peers.layout import AUDIO, LENGTH, LOGPROBS

_JOINTS: Final = {"encoded": "encoded", "encoded_length": "encoded_length"}


def join(encoder: Path, decoder: Path) -> onnx.ModelProto:
    """Our exported encoder and decoder as one graph, the arg max left out."""
    joined = compose.merge_models(
        onnx.load(encoder),
        onnx.load(decoder),
        io_map=list(_JOINTS.items()),
        outputs=["decoder/log_probs"],
        prefix1="encoder/",
        prefix2="decoder/",
    )
    return _renamed(joined)


def _renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the peers' names, and a length of [B] in place of our [B, 1]."""
    graph = model.graph
    names = {"encoder/features": AUDIO, "decoder/log_probs": LOGPROBS}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    column = next(value for value in graph.input if value.name == "encoder/features_length")
    graph.input.remove(column)
    graph.input.append(helper.make_tensor_value_info(LENGTH, TensorProto.INT64, ["batch"]))
    graph.initializer.append(helper.make_tensor("column_axis", TensorProto.INT64, [1], [1]))
    graph.node.insert(0, helper.make_node("Unsqueeze", [LENGTH, "column_axis"], [column.name]))
    return model


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the graph's metadata."""
    del model.metadata_props[:]
    helper.set_model_props(model, dict(metadata))


def input_names(model: onnx.ModelProto) -> tuple[str, ...]:
    """The graph's inputs in order."""
    return tuple(value.name for value in model.graph.input)


def export_by_nemo(model: Any, path: Path) -> onnx.ModelProto:
    """Write the graph that NeMo's own exporter makes; changes ``model``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and NeMo's, about themselves
        model.export(str(path), verbose=False)
    return onnx.load(path)
