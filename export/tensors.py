"""The models of the pipeline as data: their input and output tensors, with all axes.

Graphs are exported with these names and axes, configurations are written from them, and
verification compares both. No other module of ``export`` spells out a shape.
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
    TOP_LOG_PROBS,
    TOP_TOKENS,
)

AUDIO_SIGNAL_LENGTH: Final = "audio_signal_length"
"""Utterance lengths in samples, INT32 [B, 1]: Triton itself supplies them (``batch_input``)."""

BATCH: Final = "batch"

MAX_DURATION_S: Final = 7200
"""The longest utterance of any model. 16 of two hours at 16 kHz have 1.8 of the 2.1 billion samples
that an INT32 can count."""

TOP_K: Final = 16
"""The best tokens of a frame that a beam search gets in place of all ``log_probs``. At most 12 of
1,025 pass its default threshold in 4,865 frames of generated speech, and at most 10 of 29 in 17,850
of AN4."""

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
        """Whether utterances of different lengths are concatenated along one axis."""
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

    @classmethod
    def of(
        cls, features: int, channels: int, vocabulary_size: int, top_k: int | None = None
    ) -> "Pipeline":
        """The graphs of a model with ``features`` mel bands and ``channels`` encoder outputs.

        ``vocabulary_size`` includes the blank. With ``top_k`` the decoder also returns so many of
        each frame's best tokens.
        """
        mel = Tensor(FEATURES, "FP32", (BATCH, features, "feature_frames"))
        encoded = Tensor(ENCODED, "FP32", (BATCH, channels, "frames"))
        best = (
            ()
            if top_k is None
            else (
                Tensor(TOP_TOKENS, "INT32", (BATCH, "frames", top_k)),
                Tensor(TOP_LOG_PROBS, "FP32", (BATCH, "frames", top_k)),
            )
        )
        return cls(
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
                    *best,
                    _length(LOG_PROBS_LENGTH),
                ),
            ),
        )


def top_k_of(vocabulary_size: int) -> int | None:
    """How many of the best tokens a new export returns; ``vocabulary_size`` includes the blank.

    ``None`` where they would be no smaller than ``log_probs``: a token and its log-probability take
    8 bytes, in ``log_probs`` 4.
    """
    return TOP_K if vocabulary_size > 2 * TOP_K else None


def _length(name: str) -> Tensor:
    return Tensor(name, "INT64", (BATCH, 1))
