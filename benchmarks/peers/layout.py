"""What lies where in the folder that preparation fills and the comparison reads.

::

    .peers/
    ├── checkpoints/NAME.nemo    random weights at full size
    ├── repository/              ours, by ``python -m export build``
    ├── audio/                   WAV files that everybody reads
    └── NAME/
        ├── prepared.json        ``Prepared``
        ├── nemo/, ours/         the network as one graph: by NeMo's exporter, and our masked one
        └── PEER-nemo/, PEER-ours/    the same graphs in a peer's own form

Standard library only: preparation runs beside NeMo, the comparison where the client is.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER: Final = Path(".peers")

GRAPHS: Final = ("nemo", "ours")
GRAPH_FILE: Final = "model.onnx"
TOKENS_FILE: Final = "tokens.txt"

AUDIO: Final = "audio_signal"
LENGTH: Final = "length"
LOGPROBS: Final = "logprobs"
"""The tensors of the one graph, as NeMo's exporter names them and peers expect them."""

ONNX_ASR: Final = "onnx-asr"
SHERPA_ONNX: Final = "sherpa-onnx"
ONNX_ASR_TYPE: Final = "nemo-conformer-ctc"

_RECORD: Final = "prepared.json"


@dataclass(frozen=True)
class Prepared:
    """A checkpoint that has been prepared as ``name``.

    ``features`` is the number of mel bands, ``subsampling`` that of feature frames to one of
    output. ``refused`` says of each form that a peer could not be given why, by the form's name
    (``onnx-asr-nemo``).
    """

    name: str
    checkpoint: str
    checkpoint_sha256: str
    features: int
    subsampling: int
    refused: dict[str, str]


def form(peer: str, graph: str) -> str:
    """The name of a peer's folder with one of ``GRAPHS``."""
    return f"{peer}-{graph}"


def write_prepared(folder: Path, prepared: Prepared) -> None:
    """Write the record into the model's folder, last: it says that the rest is there."""
    text = json.dumps(asdict(prepared), indent=2, ensure_ascii=False)
    (folder / _RECORD).write_text(text + "\n", encoding="utf-8")


def read_prepared(folder: Path) -> Prepared | None:
    """The record in a model's folder; ``None`` when nothing was prepared there."""
    try:
        return Prepared(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
