"""A checkpoint in the forms that peers want: one graph, and the files beside it.

The graph is the network from features to log-probabilities, under the names of NeMo's exporter:
``audio_signal`` float32 [B, F, T] and ``length`` int64 [B] → ``logprobs`` float32 [B, S, V]. Peers
give both inputs; NeMo's exporter drops ``length`` where it drops the masks. The files' forms are
read from the peers' sources: onnx-asr 0.12 (``asr.py``, ``models/nemo.py``) and sherpa-onnx 2.0
(``scripts/nemo``, ``symbol-table.cc``).
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, compose, helper

from benchmarks.peers.layout import (
    AUDIO,
    LENGTH,
    LOGPROBS,
    ONNX_ASR,
    ONNX_ASR_TYPE,
    SHERPA_ONNX,
)
from client.vocabulary import WORD_START

BLANK: Final = "<blk>"
_FEATURES: Final[dict[str, Any]] = {
    "normalize": "per_feature",
    "window_size": 0.025,
    "window_stride": 0.01,
}
"""The only ones that both peers compute."""
ONNX_ASR_FEATURES: Final = (80, 128)
"""Its preprocessors by number of mel bands: 25 ms windows, 512 points, NeMo's filters."""
_ONNX_ASR_VOCABULARY: Final = "vocab.txt"


def write_tokens(path: Path, vocabulary: Sequence[str]) -> None:
    """Write a line ``TOKEN NUMBER`` for each token, the blank last.

    Peers split at the space, so that a token that is one is written as SentencePiece's mark, which
    both read as a space.
    """
    labels = [WORD_START if label == " " else label for label in vocabulary]
    lines = (f"{label} {number}\n" for number, label in enumerate([*labels, BLANK]))
    path.write_text("".join(lines), encoding="utf-8")


def write_onnx_asr(folder: Path, vocabulary: Sequence[str], features: int, stride: int) -> None:
    """Write what onnx-asr reads beside the graph; ``stride`` is feature frames to one of output."""
    write_tokens(folder / _ONNX_ASR_VOCABULARY, vocabulary)
    config = {"model_type": ONNX_ASR_TYPE, "features_size": features, "subsampling_factor": stride}
    (folder / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")


def sherpa_metadata(n_tokens: int, subsampling: int, model_class: str) -> dict[str, str]:
    """What sherpa-onnx reads in the graph; ``n_tokens`` is without the blank."""
    return {
        "vocab_size": str(n_tokens),
        "normalize_type": _FEATURES["normalize"],
        "subsampling_factor": str(subsampling),
        "model_type": model_class,
        "version": "1",
        "model_author": "NeMo",
    }


def features_refused(preprocessor: Mapping[str, Any]) -> dict[str, str]:
    """Why peers cannot compute these features, by peer; empty when all can.

    ``preprocessor`` is the section of NeMo's configuration.
    """
    refused = {}
    for name, wanted in _FEATURES.items():
        if preprocessor[name] != wanted:
            reason = f"its features have {name} {wanted}, the checkpoint's {preprocessor[name]}"
            refused = {ONNX_ASR: reason, SHERPA_ONNX: reason}
    if preprocessor["features"] not in ONNX_ASR_FEATURES:
        known = " and ".join(map(str, ONNX_ASR_FEATURES))
        reason = f"it has {known} mel bands, the checkpoint {preprocessor['features']}"
        refused.setdefault(ONNX_ASR, reason)
    return refused


def join(encoder: Path, decoder: Path) -> onnx.ModelProto:
    """Our exported encoder and decoder as one graph with the peers' names, without the arg max."""
    model = compose.merge_models(
        onnx.load(encoder),
        onnx.load(decoder),
        io_map=[(name, name) for name in ("encoded", "encoded_length")],
        outputs=["decoder/log_probs"],
        prefix1="encoder/",
        prefix2="decoder/",
    )
    graph = model.graph
    names = {"encoder/features": AUDIO, "decoder/log_probs": LOGPROBS}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    # Peers give a length of [B], where our encoder takes [B, 1].
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


def export_by_nemo(model: Any, path: Path) -> onnx.ModelProto:
    """Write the graph that NeMo's own exporter makes; changes ``model``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and NeMo's, about themselves
        model.export(str(path), verbose=False)
    return onnx.load(path)
