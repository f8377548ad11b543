"""Small model repositories for tests that run a real server, and that server as users run it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import onnx
from google.protobuf import json_format, text_format
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2

from server import free_ports

DEADLINE_S = 60
# The newest that the oldest ONNX Runtime in use (1.19) loads.
OPSET, IR_VERSION = 17, 9

Tensor = tuple[str, int, Sequence[int | str | None]]


def graph(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, tuple[int, Sequence[int], Sequence[Any]]] | None = None,
) -> onnx.ModelProto:
    """An ONNX model from its tensors (name, type, shape), nodes and constants."""
    body = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
        [helper.make_tensor(name, *value) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    return model


def identity(data_type: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """``x`` [B, N] comes back as ``y``."""
    shape = ["batch", "samples"]
    return graph(
        [("x", data_type, shape)],
        [("y", data_type, shape)],
        [helper.make_node("Identity", ["x"], ["y"])],
    )


def weighted_sums() -> onnx.ModelProto:
    """Ragged ``audio`` [ΣN] with ``lengths`` [B, 1] to sums that depend on who owns which sample.

    ``total`` FP32 [B, 1] is Σ i · audio[i] over an utterance's own samples, i counted from 0;
    ``samples`` INT64 [B, 1] is its length.
    """
    node = helper.make_node
    return graph(
        [("audio", TensorProto.INT16, ["all"]), ("lengths", TensorProto.INT32, ["batch", 1])],
        [("total", TensorProto.FLOAT, ["batch", 1]), ("samples", TensorProto.INT64, ["batch", 1])],
        [
            node("Cast", ["lengths"], ["samples"], to=TensorProto.INT64),
            node("CumSum", ["samples", "zero"], ["ends"]),  # [B, 1]
            node("Sub", ["ends", "samples"], ["starts"]),  # [B, 1]
            node("Shape", ["audio"], ["size"]),
            node("Squeeze", ["size"], ["count"]),
            node("Range", ["zero", "count", "one"], ["index"]),  # [ΣN]
            node("Sub", ["index", "starts"], ["position"]),  # [B, ΣN]
            node("GreaterOrEqual", ["position", "zero"], ["begun"]),
            node("Less", ["position", "samples"], ["unended"]),
            node("And", ["begun", "unended"], ["own"]),
            node("Where", ["own", "position", "zero"], ["weight"]),  # [B, ΣN]
            node("Cast", ["weight"], ["weight_f"], to=TensorProto.FLOAT),
            node("Cast", ["audio"], ["audio_f"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["audio_f", "axis"], ["column"]),  # [ΣN, 1]
            node("MatMul", ["weight_f", "column"], ["total"]),  # [B, 1]
        ],
        {
            "zero": (TensorProto.INT64, [], [0]),
            "one": (TensorProto.INT64, [], [1]),
            "axis": (TensorProto.INT64, [1], [1]),
        },
    )


IDENTITY_CONFIG: Mapping[str, Any] = {
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}],
}

WEIGHTED_SUMS_CONFIG: Mapping[str, Any] = {
    "max_batch_size": 8,
    "input": [
        {"name": "audio", "data_type": "TYPE_INT16", "dims": [-1], "allow_ragged_batch": True}
    ],
    "batch_input": [
        {
            "kind": "BATCH_ITEM_SHAPE",
            "target_name": ["lengths"],
            "data_type": "TYPE_INT32",
            "source_input": ["audio"],
        }
    ],
    "output": [
        {"name": "total", "data_type": "TYPE_FP32", "dims": [1]},
        {"name": "samples", "data_type": "TYPE_INT64", "dims": [1]},
    ],
}


def write_model(
    repository: Path, name: str, model: onnx.ModelProto, config: Mapping[str, Any]
) -> None:
    """Add a model to a repository: ``config`` is a ModelConfig in JSON form."""
    # One instance (Triton makes two on a CPU unless told) and one thread: tests share the machine.
    defaults = {
        "backend": "onnxruntime",
        "instance_group": [{"count": 1}],
        "parameters": {"intra_op_thread_count": {"string_value": "1"}},
    }
    message = json_format.ParseDict({**defaults, **config}, model_config_pb2.ModelConfig())
    version = repository / name / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / (config.get("default_model_filename") or "model.onnx"))
    (repository / name / "config.pbtxt").write_text(text_format.MessageToString(message))


class Launched:
    """``python -m server`` as a user runs it, and what it has said so far."""

    def __init__(self, repository: Path, *arguments: str) -> None:
        self.ports = free_ports()
        ports = [f"--{name.replace('_', '-')}={port}" for name, port in self.ports.items()]
        self.url = f"127.0.0.1:{self.ports['grpc_port']}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", f"--repository={repository}", *ports, *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_until_ready(self) -> None:
        """Read until it says that it serves."""
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("server: gRPC"):
                return
        raise AssertionError(f"it ended before it was ready: {''.join(self.said)}")

    def finish(self) -> tuple[int, str]:
        """The exit status, and all that was said."""
        _, rest = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, "".join(self.said) + rest

    def triton(self) -> int:
        """The process id of the server."""
        (pid,) = children(self.process.pid)
        return pid


def children(pid: int) -> list[int]:
    """The process ids of a process's own children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
