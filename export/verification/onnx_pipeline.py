"""Runs the three exported graphs in a row in bare ONNX Runtime, without a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from client.wire.contract import (
    AUDIO_SIGNAL,
    FEATURES,
    FEATURES_LENGTH,
    LOG_PROBS,
    LOG_PROBS_LENGTH,
    TOKENS,
    TOP_LOG_PROBS,
    TOP_TOKENS,
    Contract,
)
from client.wire.top_tokens import pack
from export.config import model_name
from export.repository import graph_path
from export.session import open_session
from export.tensors import AUDIO_SIGNAL_LENGTH, Pipeline
from export.verification.outputs import Outputs, greedy_text


class OnnxPipeline:
    """Runs batches of utterances as the server would, ragged audio included."""

    def __init__(self, repository: Path, name: str, pipeline: Pipeline, contract: Contract) -> None:
        paths = [graph_path(repository, model_name(name, model)) for model in pipeline.models]
        self._sessions = [open_session(path) for path in paths]
        self.encoder_path = paths[1]
        self.contract = contract

    def run(self, utterances: Sequence[NDArray[Any]]) -> list[Outputs]:
        """Outputs of int16 ``utterances``, each of shape = (n_samples,), as one batch."""
        values = self._run(utterances, self._sessions)
        return [self._utterance(values, index) for index in range(len(utterances))]

    def features(self, utterances: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The encoder's inputs for a batch: float32 [B, F, T], and int64 lengths [B, 1]."""
        values = self._run(utterances, self._sessions[:1])
        return values[FEATURES], values[FEATURES_LENGTH]

    @staticmethod
    def _run(
        utterances: Sequence[NDArray[Any]], sessions: Sequence[onnxruntime.InferenceSession]
    ) -> dict[str, NDArray[Any]]:
        """Every tensor between and after ``sessions``, by name."""
        lengths = [[len(audio)] for audio in utterances]
        values = {
            AUDIO_SIGNAL: np.concatenate(utterances),
            AUDIO_SIGNAL_LENGTH: np.array(lengths, dtype=np.int32),
        }
        for session in sessions:
            feeds = {tensor.name: values[tensor.name] for tensor in session.get_inputs()}
            names = [tensor.name for tensor in session.get_outputs()]
            values |= dict(zip(names, session.run(names, feeds), strict=True))
        return values

    def _utterance(self, values: dict[str, NDArray[Any]], index: int) -> Outputs:
        frames = int(values[LOG_PROBS_LENGTH][index, 0])
        tokens = values[TOKENS][index]
        padding = tokens[frames:]
        if (padding != self.contract.blank).any():
            # Shown as a wrong transcript: a client that forgot to trim would see these tokens.
            frames = len(tokens)
        top = None
        if TOP_TOKENS in values:
            top = pack(values[TOP_TOKENS][index, :frames], values[TOP_LOG_PROBS][index, :frames])
        return Outputs(
            features=values[FEATURES][index][:, : int(values[FEATURES_LENGTH][index, 0])],
            log_probs=values[LOG_PROBS][index, :frames],
            tokens=tokens[:frames],
            text=greedy_text(tokens[:frames], self.contract),
            top=top,
        )
