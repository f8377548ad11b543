"""The files that peers want beside a graph: vocabularies, a configuration, metadata in the graph.

Their forms are read from the peers' sources: onnx-asr 0.12 (``asr.py``, ``models/nemo.py``) and
sherpa-onnx 2.0 (``scripts/nemo``, ``symbol-table.cc``).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.layout import ONNX_ASR, SHERPA_ONNX, TOKENS_FILE
from client.vocabulary import WORD_START

BLANK: Final = "<blk>"
NORMALIZATION: Final = "per_feature"
"""The one normalisation of features that both peers have."""
ONNX_ASR_FEATURES: Final = (80, 128)
"""Its preprocessors by number of mel bands: 25 ms windows, 512 points, NeMo's filters."""
ONNX_ASR_TYPE: Final = "nemo-conformer-ctc"
_ONNX_ASR_VOCABULARY: Final = "vocab.txt"
_WINDOW_S: Final = 0.025
_STRIDE_S: Final = 0.01


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
    config = {
        "model_type": ONNX_ASR_TYPE,
        "features_size": features,
        "subsampling_factor": stride,
    }
    (folder / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")


def write_sherpa_onnx(folder: Path, vocabulary: Sequence[str]) -> None:
    """Write what sherpa-onnx reads beside the graph, which needs :func:`sherpa_metadata`."""
    write_tokens(folder / TOKENS_FILE, vocabulary)


def sherpa_metadata(n_tokens: int, subsampling: int, model_class: str) -> dict[str, str]:
    """What sherpa-onnx reads in the graph; ``n_tokens`` is without the blank."""
    return {
        "vocab_size": str(n_tokens),
        "normalize_type": NORMALIZATION,
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
    for name, wanted in (
        ("normalize", NORMALIZATION),
        ("window_size", _WINDOW_S),
        ("window_stride", _STRIDE_S),
    ):
        if preprocessor[name] != wanted:
            reason = f"its features have {name} {wanted}, the checkpoint's {preprocessor[name]}"
            refused = {ONNX_ASR: reason, SHERPA_ONNX: reason}
    if preprocessor["features"] not in ONNX_ASR_FEATURES:
        known = " and ".join(map(str, ONNX_ASR_FEATURES))
        reason = f"it has {known} mel bands, the checkpoint {preprocessor['features']}"
        refused.setdefault(ONNX_ASR, reason)
    return refused
