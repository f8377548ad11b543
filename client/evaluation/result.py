"""What an evaluation found: systems, utterances with what each system made of them, and figures.

Everything that shows an evaluation reads these; nothing in here computes or prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from ..audio import Clip
from ..decoding import DecoderOptions, GreedyOptions
from ..transcript import Transcript
from ..wire.contract import Contract
from .acoustic_cache import AcousticOutput
from .metrics import ErrorCounts

GREEDY: Final = GreedyOptions(confidence=True)
"""Greedy decoding of ``log_probs``, which are what is kept."""

Value: TypeAlias = str | int | float | bool | None
"""Of a manifest's field; ``None`` where an entry has none."""


@dataclass(frozen=True)
class Scored:
    """Texts that exist: ``field`` of each line of a JSON Lines file."""

    path: Path | str
    field: str = "pred_text"


@dataclass(frozen=True)
class System:
    """What gives a text for each utterance; ``name`` is the user's.

    Either a ``model`` on the server and how its outputs are decoded, or ``scored`` texts. A
    ``checkpoint_sha256`` is that of the checkpoint for which the decoder's weights were chosen.
    """

    name: str
    model: str = ""
    decoder: DecoderOptions = GREEDY
    scored: Scored | None = None
    checkpoint_sha256: str = ""


@dataclass(frozen=True)
class Recognized:
    """What one system made of one utterance; ``text`` is compared, after normalisation.

    ``decoding_s`` is one core's time, 0 for texts that existed.
    """

    transcript: Transcript
    text: str
    words: ErrorCounts
    characters: ErrorCounts
    decoding_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Utterance:
    """One entry of the manifest for which every system has a text.

    ``reference`` is compared, after normalisation. ``recognized`` is in the order of the systems.
    ``fields`` are the manifest's. Without models, ``duration_s`` is the manifest's, or 0.
    ``ctc_loss`` is the negative log-probability of the reference by each model, in nats: infinite
    where it does not fit in the frames, and absent where the reference cannot be written with the
    model's vocabulary, and where the recording was cut into several windows.
    """

    line: int
    name: str
    clip: Clip
    duration_s: float
    reference: str
    recognized: tuple[Recognized, ...]
    ctc_loss: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An entry that is in no rate, and why."""

    line: int
    name: str
    error: str


@dataclass(frozen=True)
class Interval:
    """A confidence interval, 95 %."""

    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """One system over all utterances.

    ``wer_interval`` and ``cer_interval`` are fractions. ``decoding_s`` is one core's time.
    """

    system: str
    words: ErrorCounts
    characters: ErrorCounts
    wer_interval: Interval
    cer_interval: Interval
    decoding_s: float


@dataclass(frozen=True)
class Group:
    """The utterances whose manifest entries have this ``value`` in ``field``, by each system."""

    field: str
    value: Value
    utterances: int
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Difference:
    """Word error rate of ``system`` minus that of ``baseline``, a fraction.

    ``p_value`` is that of no difference, two-sided, over paired utterances.
    """

    system: str
    baseline: str
    wer: float
    interval: Interval
    p_value: float


@dataclass(frozen=True)
class Evaluation:
    """Everything; ``scores`` are in the order of ``systems``, and none without utterances.

    ``contracts`` and ``acoustic_s``, the time of the acoustic pass (0 where its outputs were in the
    cache), are by model. ``normalization`` names what was done to both texts, in order.
    ``differences`` compare each system with the first. ``groups`` are by field, then by value.
    ``elapsed_s`` is the time of all of it. ``outputs`` are by model, then by line.
    """

    manifest: Path
    systems: tuple[System, ...]
    contracts: Mapping[str, Contract]
    normalization: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    failures: tuple[Failure, ...]
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    audio_s: float
    acoustic_s: Mapping[str, float]
    groups: tuple[Group, ...] = ()
    elapsed_s: float = 0.0
    outputs: Mapping[str, Mapping[int, AcousticOutput]] = field(default_factory=dict, repr=False)

    def log_probs(self, utterance: Utterance, model: str) -> NDArray[Any] | None:
        """A model's outputs for an utterance, ``float32 [S, V]``, as long as the cache has them.

        ``None`` for a recording that was cut into segments.
        """
        output = self.outputs.get(model, {}).get(utterance.line)
        if output is None or output.segments is not None or not output.path.exists():
            return None
        return output.log_probs()
