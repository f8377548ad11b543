"""Silero's voice activity detector as the graph that the client runs, ``client/audio/vad.onnx``.

``python -m export.voice_activity`` makes the file anew from the package ``silero-vad``, whose
network it is, weight by weight. Silero's own graph convolves each chunk by itself, which ONNX
Runtime does slowly; here each layer is one matrix product over all chunks.

Flow: chunks ``[T, 576]`` (64 samples of the chunk before, 512 of its own, at 16 kHz) → spectrum
``[T, 4, 129]`` → four convolutions → LSTM, whose state ``[1, 1, 128]`` goes from call to call →
probability of speech ``[T]``.
"""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PACKAGE: Final = "silero-vad"
TARGET: Final = Path(__file__).resolve().parents[1] / "client" / "audio" / "vad.onnx"
_BINS: Final = 129
_STATE: Final = (1, 1, 128)
_NOTICE: Final = (
    "Silero VAD, copyright (c) 2020-present Silero Team, MIT License "
    "(https://github.com/snakers4/silero-vad). Weights unchanged, graph rewritten."
)


def silero_graph() -> Path:
    """The graph in the installed package for many chunks at once.

    Raises ``ModuleNotFoundError`` without the package.
    """
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed: pip install {PACKAGE}")
    return Path(spec.origin).parent / "data" / "silero_vad_16k_sequence.onnx"


def rewritten(weights: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """The graph of matrix products, from the weights of Silero's by their names there."""
    graph = _Graph()
    chunks = graph.node("Pad", "chunks", graph.shape(0, 0, 0, 64), mode="reflect")  # [T, 640]
    hops = graph.node("Reshape", chunks, graph.shape(-1, 5, 128))
    frames = graph.joined(hops, (0, 4), (1, 5))  # [T, 4, 256]: two hops make a frame
    basis = graph.weight(weights["stft.forward_basis_buffer"][:, 0].T)
    spectrum = graph.node("MatMul", frames, basis)
    parts = (graph.part(spectrum, 0, _BINS, axis=2), graph.part(spectrum, _BINS, 2 * _BINS, axis=2))
    power = graph.node("Add", *(graph.node("Mul", part, part) for part in parts))
    layer = graph.node("Sqrt", power)  # [T, 4, 129]
    taps = [weights[f"encoder.{at}.weight"].transpose(2, 1, 0) for at in range(4)]
    biases = [weights[f"encoder.{at}.bias"] for at in range(4)]
    layer = graph.node("Pad", layer, graph.shape(0, 1, 0, 0, 1, 0))
    layer = graph.joined(layer, (0, 4), (1, 5), (2, 6))  # [T, 4, 3 * 129]
    layer = graph.dense(layer, taps[0], biases[0])
    # From here on a stride of 2 leaves two frames, then one, and of that one's taps only those
    # that do not meet the padding.
    layer = graph.node("Pad", layer, graph.shape(0, 1, 0, 0, 0, 0))
    rows = [graph.part(layer, at, at + 3) for at in (0, 2)]
    rows = [graph.node("Reshape", row, graph.shape(-1, 1, 3 * 128)) for row in rows]
    layer = graph.node("Concat", *rows, axis=1)  # [T, 2, 3 * 128]
    layer = graph.dense(layer, taps[1], biases[1])
    layer = graph.node("Reshape", layer, graph.shape(-1, 1, 2 * 64))
    layer = graph.dense(layer, taps[2][1:], biases[2])
    layer = graph.dense(layer, taps[3][1:2], biases[3])  # [T, 1, 128]
    gates = [graph.weight(weights[f"onnx::LSTM_{number}"]) for number in (209, 210, 211)]
    states = ["", "h", "c"]
    graph.nodes.append(
        helper.make_node(
            "LSTM", [layer, *gates, *states], ["y", "next_h", "next_c"], hidden_size=128
        )
    )
    logits = graph.node(
        "MatMul", graph.node("Relu", "y"), graph.weight(weights["output.weight"][0])
    )
    speech = graph.node("Sigmoid", graph.node("Add", logits, graph.weight(weights["output.bias"])))
    graph.nodes.append(helper.make_node("Reshape", [speech, graph.shape(-1)], ["speech"]))
    return graph.model()


class _Graph:
    """Nodes and weights, each named by its number."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, values: NDArray[Any]) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def shape(self, *values: int) -> str:
        return self.weight(np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def part(self, of: str, start: int, end: int, axis: int = 1) -> str:
        return self.node("Slice", of, self.shape(start), self.shape(end), self.shape(axis))

    def joined(self, of: str, *parts: tuple[int, int]) -> str:
        """Parts of the frames, side by side."""
        return self.node("Concat", *(self.part(of, *each) for each in parts), axis=2)

    def dense(self, inputs: str, taps: NDArray[Any], bias: NDArray[Any]) -> str:
        """A convolution, ``taps [width, in, out]``, as a product with what it sees side by side."""
        product = self.node("MatMul", inputs, self.weight(taps.reshape(-1, taps.shape[2])))
        return self.node("Relu", self.node("Add", product, self.weight(bias)))

    def model(self) -> onnx.ModelProto:
        inputs = (_value("chunks", "T", 576), _value("h", *_STATE), _value("c", *_STATE))
        outputs = (_value("speech", "T"), _value("next_h", *_STATE), _value("next_c", *_STATE))
        graph = helper.make_graph(self.nodes, "voice_activity", inputs, outputs, self._weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
            producer_name=PACKAGE,
            producer_version=version(PACKAGE),
            doc_string=_NOTICE,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def main() -> None:
    """Write the client's file."""
    weights = onnx.load(silero_graph()).graph.initializer
    model = rewritten({each.name: numpy_helper.to_array(each) for each in weights})
    TARGET.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
