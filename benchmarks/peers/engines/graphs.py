"""Bare ONNX Runtime loops over our three exported graphs, and over the graph of NeMo's exporter.

What a serving stack must not lose, and what batching without masks costs. Features are computed by
our preprocessor in both; NeMo's graph gets them padded with zeros, and an utterance's own frames
are read from what it returns, as they would be with masks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.layout import AUDIO, LENGTH, LOGPROBS
from benchmarks.peers.worker import Engine, by_length, in_batches
from benchmarks.pipeline import Graph, Pipeline, RuntimeOptions, host, read_contract
from client.audio import load_audio
from client.decoding import GreedyDecoder
from client.wire.contract import LOG_PROBS_LENGTH, TOKENS

PACKAGES: Final = ("onnxruntime", "numpy", "soundfile")


class Graphs:
    """Our graphs; ``options`` are the ``batch`` size, and whether to sort by length."""

    def __init__(self, repository: Path, name: str, options: RuntimeOptions) -> None:
        contract = read_contract(repository, name)
        self.pipeline = Pipeline(repository, name, options)
        self._rate_hz = contract.sample_rate_hz
        self._decoder = GreedyDecoder(contract)

    def transcribe(self, files: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Texts in the order of the files, all of which are read first."""
        audio = [load_audio(Path(file), self._rate_hz) for file in files]
        places: Sequence[int] = range(len(files))
        if options.get("sorted"):
            places = by_length([len(samples) for samples in audio])
        found = in_batches([audio[place] for place in places], options["batch"], self._texts)
        texts = dict(zip(places, found, strict=True))
        return [texts[place] for place in range(len(files))]

    def tokens(self, audio: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The best tokens, int32 [S], of each utterance, int16 [N], in one batch."""
        found = host(self.pipeline.run(audio), (TOKENS, LOG_PROBS_LENGTH))
        rows = zip(found[TOKENS], found[LOG_PROBS_LENGTH][:, 0], strict=True)
        return [tokens[:length] for tokens, length in rows]

    def _texts(self, audio: Sequence[NDArray[Any]]) -> list[str]:
        return [self._decoder.decode(tokens).text for tokens in self.tokens(audio)]


class NemoGraph(Graphs):
    """The same with NeMo's graph in place of our encoder and decoder."""

    def __init__(
        self, repository: Path, name: str, options: RuntimeOptions, graph: Path, subsampling: int
    ) -> None:
        super().__init__(repository, name, options)
        self._graph = Graph(graph, options)
        self._subsampling = subsampling

    def tokens(self, audio: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The best tokens, [S], of each utterance, int16 [N], in one batch."""
        features = host(self.pipeline.features(audio), ("features", "features_length"))
        lengths = features["features_length"][:, 0]  # [B]
        inputs = self.pipeline.values({AUDIO: features["features"], LENGTH: lengths})
        logprobs = host(self._graph.run(inputs), (LOGPROBS,))[LOGPROBS]  # [B, S, V]
        frames = (lengths - 1) // self._subsampling + 1
        best = np.argmax(logprobs, axis=-1)  # [B, S]
        return [row[:length] for row, length in zip(best, frames, strict=True)]


@contextmanager
def load(settings: Mapping[str, Any], threads: int) -> Iterator[Engine]:
    """Load the model ``name`` of ``repository``, with NeMo's ``graph`` where one is given."""
    where = Path(settings["repository"]), settings["name"], RuntimeOptions(threads=threads)
    if "graph" in settings:
        yield NemoGraph(*where, Path(settings["graph"]), settings["subsampling"])
    else:
        yield Graphs(*where)
