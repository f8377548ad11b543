"""sherpa-onnx: ``OfflineRecognizer.from_nemo_ctc``, files read as its examples do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sherpa_onnx
import soundfile

from benchmarks.peers.layout import GRAPH_FILE, TOKENS_FILE
from benchmarks.peers.worker import Engine, in_batches

PACKAGES: Final = ("sherpa-onnx", "sherpa-onnx-core", "soundfile", "numpy")


class SherpaOnnx:
    """A recogniser; ``options`` are the ``batch`` size."""

    def __init__(self, recognizer: Any) -> None:
        self._recognizer = recognizer

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Texts in the order of the files."""
        return in_batches(list(files), options["batch"], self._batch)

    def _batch(self, files: Sequence[str]) -> list[str]:
        streams = []
        for file in files:
            samples, rate_hz = soundfile.read(file, dtype="float32")  # [N]
            stream = self._recognizer.create_stream()
            stream.accept_waveform(rate_hz, samples)
            streams.append(stream)
        self._recognizer.decode_streams(streams)
        return [stream.result.text for stream in streams]


@contextmanager
def load(settings: Mapping[str, Any], threads: int) -> Iterator[Engine]:
    """Load ``settings["folder"]``, whose model takes ``settings["features"]`` mel bands."""
    folder = Path(settings["folder"])
    yield SherpaOnnx(
        sherpa_onnx.OfflineRecognizer.from_nemo_ctc(
            model=str(folder / GRAPH_FILE),
            tokens=str(folder / TOKENS_FILE),
            num_threads=threads,
            feature_dim=settings["features"],
            provider="cpu",
        )
    )
