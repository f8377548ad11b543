"""Exported graphs with other types at their ends, for measurements alone.

Each function takes a graph as ``export`` wrote it and returns it changed: inside it computes the
same, in the same precision.
"""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from client.wire.contract import AUDIO_SIGNAL, LOG_PROBS, LOG_PROBS_LENGTH, TOKENS

FULL_SCALE: Final = 2**15
"""Of 16-bit audio; a power of two, so that float32 holds every sample without rounding."""
LARGE_VOCABULARY: Final = 1025
FRAMES_KEPT: Final = 4
"""One frame of so many is left: a FastConformer has 12.5 a second where the demo has 50."""


def float_audio(model: onnx.ModelProto) -> onnx.ModelProto:
    """A preprocessor that takes float32 audio of -1 to 1, and makes it int16 first."""
    graph = model.graph
    inner = f"{AUDIO_SIGNAL}/int16"
    for node in graph.node:
        node.input[:] = [inner if name == AUDIO_SIGNAL else name for name in node.input]
    audio = next(value for value in graph.input if value.name == AUDIO_SIGNAL)
    audio.type.tensor_type.elem_type = TensorProto.FLOAT
    _add_constant(model, "full_scale", np.array(FULL_SCALE, np.float32))
    scale = helper.make_node("Mul", [AUDIO_SIGNAL, "full_scale"], ["audio/scaled"])  # [ΣN]
    cast = helper.make_node("Cast", ["audio/scaled"], [inner], to=TensorProto.INT16)
    graph.node.insert(0, scale)
    graph.node.insert(1, cast)
    return model


def half_log_probs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A decoder whose ``log_probs`` leave it as float16; ``tokens`` are those of float32."""
    full = _renamed(model, LOG_PROBS, "float32")
    node = helper.make_node("Cast", [full], [LOG_PROBS], to=TensorProto.FLOAT16)
    model.graph.node.append(node)
    _output(model, LOG_PROBS).type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def large_vocabulary(model: onnx.ModelProto) -> onnx.ModelProto:
    """A decoder with replies as large as a FastConformer's, which say nothing.

    Columns of ``log_probs`` are repeated up to :data:`LARGE_VOCABULARY`, and of the frames every
    :data:`FRAMES_KEPT`-th is left: ``[B, S, V]`` becomes ``[B, S / 4, 1025]``.
    """
    graph = model.graph
    frames, tokens, length = (
        _renamed(model, each, "all") for each in (LOG_PROBS, TOKENS, LOG_PROBS_LENGTH)
    )
    columns = _output(model, LOG_PROBS).type.tensor_type.shape.dim[2]
    repeated = np.arange(LARGE_VOCABULARY, dtype=np.int64) % columns.dim_value
    columns.dim_value = LARGE_VOCABULARY
    for name, value in {
        "slice/start": np.zeros(1, np.int64),
        "slice/end": np.full(1, np.iinfo(np.int64).max),
        "slice/axis": np.ones(1, np.int64),
        "slice/step": np.full(1, FRAMES_KEPT, np.int64),
        "columns": repeated,
        "length/step": np.array(FRAMES_KEPT, np.int64),
        "length/most_left_over": np.array(FRAMES_KEPT - 1, np.int64),
    }.items():
        _add_constant(model, name, value)
    bounds = ["slice/start", "slice/end", "slice/axis", "slice/step"]
    graph.node.extend(
        [
            helper.make_node("Slice", [frames, *bounds], ["log_probs/few"]),
            helper.make_node("Gather", ["log_probs/few", "columns"], [LOG_PROBS], axis=2),
            helper.make_node("Slice", [tokens, *bounds], [TOKENS]),
            helper.make_node("Add", [length, "length/most_left_over"], ["length/up"]),
            helper.make_node("Div", ["length/up", "length/step"], [LOG_PROBS_LENGTH]),
        ]
    )
    return model


def _renamed(model: onnx.ModelProto, output: str, what: str) -> str:
    """Free the name of an output for another tensor; returns its new one, which says ``what``."""
    inner = f"{output}/{what}"
    for node in model.graph.node:
        node.input[:] = [inner if name == output else name for name in node.input]
        node.output[:] = [inner if name == output else name for name in node.output]
    return inner


def _output(model: onnx.ModelProto, name: str) -> Any:
    return next(value for value in model.graph.output if value.name == name)


def _add_constant(model: onnx.ModelProto, name: str, value: NDArray[Any]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(value, name))
