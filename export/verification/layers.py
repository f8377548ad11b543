"""Where in the encoder an exported model goes its own way.

A difference in ``log_probs`` says that something is wrong; this says what, by comparing the output
of each encoder layer with NeMo's, or with the same graph's when the utterance is alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from client.wire.contract import FEATURES, FEATURES_LENGTH
from export.checkpoint import Checkpoint
from export.verification.onnx_pipeline import OnnxPipeline

DEVIATION: Final = 1e-3
"""Of a layer's output, relative to its norm: beyond rounding in fp32, below a wrong window."""

TOTAL: Final = 1e6
"""What a deviation counts at most, that of values which are not finite included."""

Layers = Mapping[str, NDArray[Any]]


def wrong_layer(
    checkpoint: Checkpoint, exported: OnnxPipeline, audio: NDArray[Any], longer: NDArray[Any]
) -> str | None:
    """The encoder layer that takes ``audio`` away from NeMo, or else from itself beside ``longer``.

    Both are int16, shape = (n_samples,). None when no layer's output differs noticeably.
    """
    features, lengths = exported.features([audio])  # [1, F, T], [1, 1]
    alone = graph_layers(checkpoint, exported.encoder_path, features, lengths)
    nemo = nemo_layers(checkpoint, features[0])
    if layer := wrongest_layer(nemo, alone):
        return layer
    beside = graph_layers(checkpoint, exported.encoder_path, *exported.features([audio, longer]))
    return wrongest_layer(alone, beside)


def nemo_layers(checkpoint: Checkpoint, features: NDArray[Any]) -> Layers:
    """Outputs of the encoder's layers by name, for ``features`` float32 [F, T] of one utterance."""
    outputs: dict[str, NDArray[Any]] = {}

    def hook(name: str) -> Any:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            while isinstance(output, (tuple, list)):
                # A block of Jasper gives a list of outputs, the last its own, and the lengths.
                output = output[0] if isinstance(output, tuple) else output[-1]
            outputs[name] = output.numpy()

        return record

    encoder = checkpoint.model.encoder
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in _layers(encoder)]
    try:
        with torch.no_grad():
            encoder(
                audio_signal=torch.from_numpy(features).unsqueeze(0),
                length=torch.tensor([features.shape[1]]),
            )
    finally:
        for handle in hooks:
            handle.remove()
    return outputs


def graph_layers(
    checkpoint: Checkpoint, path: Path, features: NDArray[Any], lengths: NDArray[Any]
) -> Layers:
    """The same layers' outputs in the encoder's graph; ``features`` [B, F, T], ``lengths`` [B, 1].

    A layer that has left no node of its own is not there.
    """
    graph = onnx.load(path, load_external_data=False)
    last_node = {}
    for name, _ in _layers(checkpoint.model.encoder):
        nodes = [n for n in graph.graph.node if f"/{name}/" in n.name and n.op_type != "Constant"]
        if nodes:
            last_node[name] = nodes[-1].output[0]
    declared = {value.name for value in graph.graph.output}
    graph.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in last_node.values() if name not in declared
    )
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(path.parent)
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    values = session.run(list(last_node.values()), {FEATURES: features, FEATURES_LENGTH: lengths})
    return dict(zip(last_node, values, strict=True))


def wrongest_layer(expected: Layers, actual: Layers) -> str | None:
    """The layer at which the outputs' deviation grows most; None when none deviates.

    Outputs of the batch's first utterance are compared as far as it reaches.
    """
    before, growth = 0.0, {}
    for name, wanted in expected.items():
        if name in actual and wanted.ndim == actual[name].ndim:
            found = actual[name][:1][tuple(slice(size) for size in wanted.shape)]
            if found.shape == wanted.shape:
                deviation = min(_relative(wanted, found), TOTAL)
                growth[name] = deviation - before
                before = deviation
    worst = max(growth, key=growth.__getitem__, default=None)
    return worst if worst is not None and growth[worst] > DEVIATION else None


def _relative(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    if not np.isfinite(actual).all():
        return float("inf")
    scale = float(np.linalg.norm(expected.astype(np.float64)))
    difference = np.linalg.norm(expected.astype(np.float64) - actual.astype(np.float64))
    return float(difference) / scale if scale else float(difference)


def _layers(encoder: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The encoder's parts that have weights, in order, lists of layers taken apart."""
    for name, child in encoder.named_children():
        if isinstance(child, (nn.ModuleList, nn.Sequential)):
            yield from ((f"{name}.{index}", layer) for index, layer in enumerate(child))
        elif any(True for _ in child.parameters()):
            yield name, child
