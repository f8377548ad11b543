"""The models of the pipeline as data: which tensors they take and give, with which axes.

Graphs are exported with these names and axes, configurations are written from them, and
verification checks the one against the other. Nothing else in ``export`` spells out a shape.
"""

from dataclasses import dataclass
from typing import Final

from client.wire.contract import (
    AUDIO_SIGNAL,
    ENCODED,
    ENCODED_LENGTH,
    FEATURES,
    FEATURES_LENGTH,
    LOG_PROBS,
    LOG_PROBS_LENGTH,
    TOKENS,
)

AUDIO_SIGNAL_LENGTH: Final = "audio_signal_length"
"""Utterance lengths in samples, INT32 [B, 1]: Triton itself supplies them (``batch_input``)."""

BATCH: Final = "batch"

MAX_DURATION_S: Final = 7200
"""Of an utterance. A batch of 16 of two hours at 16 kHz has 1.8 of the 2.1 thousand million samples
that an INT32 can count."""

PREPROCESSOR: Final = "preprocessor"
ENCODER: Final = "encoder"
DECODER: Final = "decoder"


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph.

    ``type`` is Triton's short name (``FP32``, ``INT64``). ``axes`` are all axes of the graph's
    tensor: numbers where fixed, names where free; the first is ``"batch"`` except for ragged
    tensors, where a whole batch is one flat axis.
    """

    name: str
    type: str
    axes: tuple[str | int, ...]

    @property
    def ragged(self) -> bool:
        """Whether utterances of different lengths stand one after another in one axis."""
        return self.axes[0] != BATCH

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of one utterance as in ``config.pbtxt``: no batch axis, -1 where free."""
        axes = self.axes if self.ragged else self.axes[1:]
        return tuple(axis if isinstance(axis, int) else -1 for axis in axes)


@dataclass(frozen=True)
class Model:
    """One graph of the pipeline; ``role`` is the suffix of its name in the repository."""

    role: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Pipeline:
    """The three graphs, in the order in which an utterance passes through them."""

    preprocessor: Model
    encoder: Model
    decoder: Model

    @property
    def models(self) -> tuple[Model, Model, Model]:
        """The graphs in order."""
        return (self.preprocessor, self.encoder, self.decoder)


def _length(name: str) -> Tensor:
    return Tensor(name, "INT64", (BATCH, 1))


def pipeline(features: int, channels: int, vocabulary_size: int) -> Pipeline:
    """Declare the graphs of a model with ``features`` mel bands and ``channels`` encoder outputs.

    ``vocabulary_size`` includes the blank.
    """
    mel = Tensor(FEATURES, "FP32", (BATCH, features, "feature_frames"))
    encoded = Tensor(ENCODED, "FP32", (BATCH, channels, "frames"))
    return Pipeline(
        preprocessor=Model(
            PREPROCESSOR,
            inputs=(
                Tensor(AUDIO_SIGNAL, "INT16", ("samples",)),
                Tensor(AUDIO_SIGNAL_LENGTH, "INT32", (BATCH, 1)),
            ),
            outputs=(mel, _length(FEATURES_LENGTH)),
        ),
        encoder=Model(
            ENCODER,
            inputs=(mel, _length(FEATURES_LENGTH)),
            outputs=(encoded, _length(ENCODED_LENGTH)),
        ),
        decoder=Model(
            DECODER,
            inputs=(encoded, _length(ENCODED_LENGTH)),
            outputs=(
                Tensor(TOKENS, "INT32", (BATCH, "frames")),
                Tensor(LOG_PROBS, "FP32", (BATCH, "frames", vocabulary_size)),
                _length(LOG_PROBS_LENGTH),
            ),
        ),
    )
