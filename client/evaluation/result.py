"""What an evaluation found: systems, utterances with what each system made of them, and figures.

Everything that shows an evaluation reads these; nothing in here computes, reads or prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..audio import Clip
from ..decoding import DecoderOptions
from ..transcript import Transcript
from ..wire.contract import Contract
from .metrics import ErrorCounts


@dataclass(frozen=True)
class System:
    """A model on the server, and how its outputs are decoded; ``name`` is the user's for both."""

    name: str
    model: str
    decoder: DecoderOptions


@dataclass(frozen=True)
class Recognized:
    """What one system made of one utterance; ``text`` is compared, after normalisation."""

    transcript: Transcript
    text: str
    words: ErrorCounts
    characters: ErrorCounts


@dataclass(frozen=True)
class Utterance:
    """One entry of the manifest that every system could transcribe.

    ``reference`` is compared, after normalisation. ``recognized`` is in the order of the systems.
    ``ctc_loss`` is the negative log-probability of the reference by each model, in nats: infinite
    where it does not fit in the frames, and absent where the reference cannot be written with the
    model's vocabulary, and where the model heard the recording in several windows.
    """

    line: int
    name: str
    clip: Clip
    duration_s: float
    reference: str
    recognized: tuple[Recognized, ...]
    ctc_loss: Mapping[str, float] = field(default_factory=dict)


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

    ``contracts`` and ``acoustic_s``, the time of the acoustic pass (0 where its outputs were kept
    from before), are by model. ``normalization`` names what was done to both texts, in order.
    ``differences`` compare each system with the first. ``elapsed_s`` is the time of all of it.
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
    elapsed_s: float = 0.0
