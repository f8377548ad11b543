"""What our decoder does beside being fast: use two threads, and keep its memory.

Threads share a decoder, and are measured by the clock.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

from numpy.typing import NDArray

from benchmarks.decoders.peers import Ours
from benchmarks.decoders.settings import Setting
from benchmarks.measurement import Speed, summarise, time_in_turns
from server.processes import resident_bytes

WARM: Final = 1_000
"""Utterances after which memory is first looked at."""
_MEGA: Final = 1e6


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process after ``WARM`` utterances, and after ``utterances``."""

    utterances: int
    first_mb: float
    last_mb: float


def two_threads(setting: Setting, rounds: int) -> list[Speed]:
    """One thread and two that decode the speech twice; the second's ratio is to the first."""
    speech = setting.speech
    decoder = Ours(speech.contract, setting.options)

    def decode(_: int) -> None:
        for log_probs in speech.log_probs:
            decoder.decode(log_probs)

    def one() -> None:
        for number in range(2):
            decode(number)

    def two() -> None:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(decode, range(2)))

    runs = time_in_turns({"1 thread": one, "2 threads": two}, rounds, warmups=1)
    return summarise(runs, 2 * speech.audio_s)


def memory(setting: Setting, utterances: int) -> Memory:
    """Decode so many ``utterances``, the speech again and again."""
    decoder = Ours(setting.speech.contract, setting.options)
    endless = cycle(setting.speech.log_probs)
    first_mb = _decoded(decoder, list(islice(endless, min(WARM, utterances))))
    last_mb = _decoded(decoder, list(islice(endless, max(utterances - WARM, 0))))
    return Memory(utterances, first_mb, last_mb)


def _decoded(decoder: Ours, log_probs: Sequence[NDArray[Any]]) -> float:
    """Resident memory in MB when these are decoded."""
    for each in log_probs:
        decoder.decode(each)
    return resident_bytes() / _MEGA
