"""Reads graphs with all their types, and replaces graphs in place."""

import tempfile
from pathlib import Path

import onnx

from export.errors import GraphError
from export.graph import save_graph


def load_with_types(path: Path) -> onnx.ModelProto:
    """The graph at ``path`` with its weights, and the type of every tensor in ``value_info``.

    Raises ``GraphError`` when types contradict each other.
    """
    # Weights outside the graph are found from its own folder, so the typed copy lies there too.
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=path.suffix) as typed:
        try:
            onnx.shape_inference.infer_shapes_path(path, typed.name, strict_mode=True)
        except onnx.shape_inference.InferenceError as error:
            raise GraphError(f"{path} has contradicting types: {error}", path=path) from error
        return onnx.load(typed.name)


def replace_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write ``graph`` to ``path``, replacing an old graph and its weights beside it.

    Raises ``GraphError`` when ``graph`` is not valid ONNX; ``path`` is then unchanged.
    """
    stale = external_files(path) if path.exists() else []
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        save_graph(graph, new)
        try:
            onnx.checker.check_model(new, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise GraphError(
                f"the converted graph of {path} is not valid ONNX: {error}", path=path
            ) from error
        for file in stale:
            file.unlink()
        for file in sorted(Path(folder).iterdir()):
            file.replace(path.parent / file.name)


def external_files(path: Path) -> list[Path]:
    """The files beside the graph at ``path`` that hold weights."""
    graph = onnx.load(path, load_external_data=False).graph
    locations = {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / location for location in sorted(locations)]
