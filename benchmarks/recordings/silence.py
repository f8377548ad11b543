"""What voice activity detection costs, and what it saves where much is silent.

``measure_silence``: recordings of which half is silent, in windows and by voice activity, in turns.
``measure_detection``: the detection by itself, of speech, on one core.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, pairwise
from time import perf_counter, process_time
from typing import Final

import numpy as np

from benchmarks.load.loop import Target
from benchmarks.load.watch import Sample
from benchmarks.measurement import Job, Speed, summarise, time_in_turns
from benchmarks.recordings.sessions import Spoken, hiss
from benchmarks.recordings.ways import both_ways
from client.audio import Pcm
from client.audio.voice_activity import SpeechDetector, VadOptions
from client.decoding import GreedyOptions
from client.transcriber import Transcriber

RECORDING_S: Final = 300.0
_SILENCES_S: Final = (2.0, 20.0)
_BLOCK: Final = 1 << 16  # samples, as recordings are read


@dataclass(frozen=True)
class Way:
    """One way's speed by the clock, and the median CPU seconds of a run.

    The client's hold decoding; the server's are ``None`` where they are not seen.
    """

    speed: Speed
    client_cpu_s: float
    server_cpu_s: float | None


def half_silent(utterances: Sequence[Spoken], rate_hz: int, least_s: float) -> list[Pcm]:
    """Recordings of five minutes, or of what is wanted if that is less, ``int16 [n]`` each.

    Each is silence, then utterances one after another until they are as long; again and again. The
    silences, of quiet hiss, take 2 to 20 s each. Together they take at least ``least_s``.
    """
    number = math.ceil(least_s / RECORDING_S)
    length_s = min(RECORDING_S, least_s)
    rng, coming = np.random.default_rng(0), cycle(utterances)
    return [_half_silent(coming, rate_hz, length_s, rng) for _ in range(number)]


def _half_silent(
    coming: Iterator[Spoken], rate_hz: int, least_s: float, rng: np.random.Generator
) -> Pcm:
    pieces: list[Pcm] = []
    length = silent = 0
    while length < least_s * rate_hz:
        pieces.append(hiss(round(rng.uniform(*_SILENCES_S) * rate_hz), rng))
        silent += len(pieces[-1])
        length += len(pieces[-1])
        while length < 2 * silent:
            pieces.append(next(coming).samples)
            length += len(pieces[-1])
    return np.concatenate(pieces)


def measure_silence(
    target: Target, recordings: Sequence[Pcm], rounds: int, tell: Callable[[str], None]
) -> list[Way]:
    """Both ways by greedy decoding, windows first; ``tell`` hears of each run."""
    samples: list[Sample] = []  # before each timed run, and after the last

    def look() -> None:
        samples.append(target.probe.resources(perf_counter()))

    def transcribe(name: str, transcriber: Transcriber) -> None:
        tell(name)
        for result in transcriber.transcribe(recordings):
            result.unwrap()

    with both_ways(target.url, target.model, GreedyOptions()) as ways:
        rate_hz = next(iter(ways.values())).contract.sample_rate_hz
        jobs: dict[str, Job] = {
            name: partial(transcribe, name, transcriber) for name, transcriber in ways.items()
        }
        runs = time_in_turns(jobs, rounds, warmups=1, settle=look)
        look()
    speeds = summarise(runs, sum(map(len, recordings)) / rate_hz)
    used = list(zip(runs, pairwise(samples), strict=True))
    return [_way(speed, [pair for run, pair in used if run.name == speed.name]) for speed in speeds]


def _way(speed: Speed, looks: Sequence[tuple[Sample, Sample]]) -> Way:
    """With the CPU seconds between the two looks of each run."""
    server = [
        after.server.cpu_s - before.server.cpu_s
        for before, after in looks
        if before.server is not None and after.server is not None
    ]
    return Way(
        speed=speed,
        client_cpu_s=statistics.median(
            after.client.cpu_s - before.client.cpu_s for before, after in looks
        ),
        server_cpu_s=statistics.median(server) if server else None,
    )


def measure_detection(samples: Pcm, rate_hz: int, rounds: int) -> Speed:
    """Voice activity detection of ``samples``, by processor time."""

    def detect() -> None:
        detector = SpeechDetector(rate_hz, VadOptions())
        for start in range(0, len(samples), _BLOCK):
            detector.advance(samples[start : start + _BLOCK])
        detector.finish()

    runs = time_in_turns({"voice activity": detect}, rounds, warmups=1, clock=process_time)
    (speed,) = summarise(runs, len(samples) / rate_hz)
    return speed
