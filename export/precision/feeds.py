"""Running exported graphs on utterances, for conversions that look at real activations.

Outputs of one stage are named as inputs of the next, so stages are chained by nesting:
``run(decoder, run(encoder, run(preprocessor, audio_feeds(utterances))))``. Every utterance runs
alone: no padding is seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.wire.contract import AUDIO_SIGNAL, LOG_PROBS_LENGTH, TOKENS
from export.config import model_name
from export.repository import graph_path
from export.session import open_session
from export.tensors import AUDIO_SIGNAL_LENGTH, Pipeline

Array = NDArray[Any]
Feed = dict[str, Array]
"""A graph's inputs, or outputs, by name."""


@dataclass(frozen=True)
class Graphs:
    """Where the graphs of one exported model lie."""

    preprocessor: Path
    encoder: Path
    decoder: Path

    @classmethod
    def of(cls, repository: Path, name: str, pipeline: Pipeline) -> "Graphs":
        """The graphs of the model ``name`` in ``repository``."""
        return cls(*(graph_path(repository, model_name(name, model)) for model in pipeline.models))

    def features(self, utterances: Iterable[Array]) -> Iterator[Feed]:
        """The encoder's inputs for int16 ``utterances``, each of shape = (n_samples,)."""
        return run(self.preprocessor, audio_feeds(utterances))


def audio_feeds(utterances: Iterable[Array]) -> Iterator[Feed]:
    """The preprocessor's inputs for int16 ``utterances``, each of shape = (n_samples,)."""
    for audio in utterances:
        length = np.array([[len(audio)]], dtype=np.int32)
        yield {AUDIO_SIGNAL: audio, AUDIO_SIGNAL_LENGTH: length}


def run(graph: Path, feeds: Iterable[Feed], *, outputs: Iterable[str] = ()) -> Iterator[Feed]:
    """Yield ``outputs`` of ``graph``, or all of them, for each feed.

    Raises :class:`GraphError` when ONNX Runtime cannot load the graph.
    """
    session = open_session(graph)
    names = list(outputs) or [tensor.name for tensor in session.get_outputs()]
    for feed in feeds:
        yield dict(zip(names, session.run(names, feed), strict=True))


def tokens(encoder: Path, decoder: Path, feeds: Iterable[Feed]) -> list[Array]:
    """Greedy tokens of each utterance from the encoder's ``feeds``; int32, shape = (S,)."""
    return [
        outputs[TOKENS][0, : int(outputs[LOG_PROBS_LENGTH][0, 0])]
        for outputs in run(decoder, run(encoder, feeds), outputs=(TOKENS, LOG_PROBS_LENGTH))
    ]
