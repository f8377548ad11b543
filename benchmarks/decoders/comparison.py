"""Decoders in turns on the same speech: word errors and speed.

Flow: ``Setting`` → decoders that are installed and can do it → each a ``Decoding``, a job that
keeps its texts → ``time_in_turns`` → ``Comparison``.

Time is that of the processor, of all the process's threads together: what is compared is work for
one core, whoever else is at work on the machine and however many threads a library starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

from numpy.typing import NDArray

from benchmarks.decoders.peers import PEERS, Peer
from benchmarks.decoders.settings import Setting
from benchmarks.errors import ProviderError
from benchmarks.measurement import Speed, summarise, time_in_turns
from client.evaluation.metrics import errors_by_utterance, rate_interval


class Decoding:
    """The job of decoding everything; keeps the last run's texts."""

    def __init__(self, peer: Peer, log_probs: Sequence[NDArray[Any]]) -> None:
        self._peer = peer
        self._log_probs = log_probs
        self.texts: list[str] = []

    def __call__(self) -> None:
        """Decode all utterances."""
        self.texts = [self._peer.decode(each) for each in self._log_probs]


@dataclass(frozen=True)
class Figures:
    """What a decoder made of the speech, and how fast; ``wer_interval`` is of 95 %."""

    name: str
    errors: int
    wer: float
    wer_interval: tuple[float, float]
    speed: Speed


@dataclass(frozen=True)
class Comparison:
    """Decoders in one setting; ratios of speed are to the first.

    ``left_out`` says why of those that are missing.
    """

    setting: str
    utterances: int
    words: int
    decoders: list[Figures]
    left_out: dict[str, str]


def compare(setting: Setting, rounds: int) -> Comparison:
    """Compare the setting's decoders."""
    speech = setting.speech
    jobs, left_out = {}, {}
    for name in setting.decoders:
        try:
            peer = PEERS[name](speech.contract, setting.options)
        except ProviderError as error:
            left_out[name] = str(error)
        else:
            jobs[name] = Decoding(peer, speech.log_probs)
    runs = time_in_turns(jobs, rounds, warmups=1, clock=process_time)
    return Comparison(
        setting.name,
        len(speech.references),
        sum(len(text.split()) for text in speech.references),
        [
            figures(speech.references, jobs[speed.name].texts, speed)
            for speed in summarise(runs, speech.audio_s)
        ],
        left_out,
    )


def figures(references: Sequence[str], texts: Sequence[str], speed: Speed) -> Figures:
    """What the texts and the times say of one decoder."""
    errors = errors_by_utterance(references, texts)  # [utterances, 2]
    total, words = errors.sum(axis=0).tolist()
    return Figures(
        name=speed.name,
        errors=total,
        wer=total / max(words, 1),
        wer_interval=rate_interval(errors),
        speed=speed,
    )
