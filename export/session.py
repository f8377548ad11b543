"""Runs exported graphs in ONNX Runtime on the CPU."""

from pathlib import Path

import onnxruntime

from export.errors import GraphError


def open_session(graph: Path) -> onnxruntime.InferenceSession:
    """A session of the graph in this file; raises ``GraphError`` when it cannot be loaded."""
    options = onnxruntime.SessionOptions()
    # Spinning threads would take the cores from NeMo, which runs in turns with these graphs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base but RuntimeError and Exception.
    except Exception as error:
        raise GraphError(f"ONNX Runtime cannot load {graph}: {error}", path=graph) from error
