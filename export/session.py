"""Exported graphs in ONNX Runtime on the CPU: for verification, and to look at activations."""

from pathlib import Path

import onnxruntime

from export.errors import GraphError


def open_session(graph: Path) -> onnxruntime.InferenceSession:
    """A session of the graph in this file; raises :class:`GraphError` when it cannot be loaded."""
    try:
        return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base but RuntimeError and Exception.
    except Exception as error:
        raise GraphError(f"ONNX Runtime cannot load {graph}: {error}") from error
