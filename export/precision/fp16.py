"""Converts an fp32 graph to a strongly typed fp16 graph.

Weights and activations become fp16 unless that would overflow or round too much: see
``export.precision.islands``. Every node's float inputs have one type, with a cast wherever fp16
and fp32 meet, as TensorRT's strong typing needs. Inputs and outputs keep their types.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from onnxruntime.transformers.float16 import convert_float_to_float16

from export.precision.casts import place_casts
from export.precision.feeds import Array, Feed, Graphs, run
from export.precision.files import load_with_types, replace_graph
from export.precision.islands import fp32_nodes
from export.precision.ranges import activation_ranges

_CONSTANTS: Final = ("Constant", "Identity")


def convert_model(graphs: Graphs, utterances: Iterable[Array]) -> dict[str, tuple[str, ...]]:
    """Convert encoder and decoder of fp32 ``graphs`` in place; the preprocessor stays in fp32.

    ``utterances`` are int16 audio, each of shape = (n_samples,), loud and silent among them.
    Returns the nodes that stay in fp32, by role. Raises ``GraphError``.
    """
    feeds = list(graphs.features(utterances))
    # The decoder first: its examples come from the fp32 encoder.
    decoder = convert_to_fp16(graphs.decoder, graphs.decoder, run(graphs.encoder, feeds))
    return {"encoder": convert_to_fp16(graphs.encoder, graphs.encoder, feeds), "decoder": decoder}


def convert_to_fp16(source: Path, target: Path, feeds: Iterable[Feed]) -> tuple[str, ...]:
    """Write the fp32 graph at ``source`` in fp16 to ``target``, which may be the same file.

    ``feeds`` are inputs of the graph from real audio, loud and silent too: a node whose values on
    them come near fp16's limit stays in fp32. Returns the names of the nodes in fp32, without
    constants. Raises ``GraphError`` when the graph cannot be loaded or converted.
    """
    ranges = activation_ranges(source, feeds)
    model = load_with_types(source)
    kept = fp32_nodes(model, ranges)
    constants = {node.name for node in model.graph.node if node.op_type in _CONSTANTS}
    model = convert_float_to_float16(
        model,
        keep_io_types=True,
        disable_shape_infer=True,  # done
        op_block_list=[],
        node_block_list=kept,
    )
    place_casts(model.graph)
    del model.graph.value_info[:]
    replace_graph(model, target)
    return tuple(name for name in kept if name not in constants)
