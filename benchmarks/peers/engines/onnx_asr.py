"""onnx-asr: ``load_model`` of a folder, ``recognize`` of paths, as its README says."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import onnx_asr
import onnxruntime

from benchmarks.peers.layout import ONNX_ASR_TYPE
from benchmarks.peers.worker import Engine, in_batches

PACKAGES: Final = ("onnx-asr", "onnxruntime", "numpy")


class OnnxAsr:
    """A loaded model; ``options`` are the ``batch`` size."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Texts in the order of the files."""
        if options["batch"] == 1:
            return [self._model.recognize(file) for file in files]
        return in_batches(list(files), options["batch"], self._model.recognize)


@contextmanager
def load(settings: Mapping[str, Any], threads: int) -> Iterator[Engine]:
    """Load ``settings["folder"]``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    yield OnnxAsr(
        onnx_asr.load_model(
            ONNX_ASR_TYPE,
            settings["folder"],
            sess_options=options,
            providers=["CPUExecutionProvider"],
        )
    )
