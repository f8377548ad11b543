"""Decoders in turns on the same speech: word errors, speed, and time an utterance.

Flow: speech and options → decoders that are installed → the same settings for all, and of each the
fastest beam width with no more errors than ours, which ``scan`` finds → each a
``Decoding``, a job that keeps its texts and times → ``time_in_turns`` → ``Comparison``.

Time is that of the processor, of all the process's threads together: what is compared is work for
one core, whoever else is at work on the machine and however many threads a library starts.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from time import process_time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoders.peers import PEERS, Peer
from benchmarks.decoders.speech import Speech
from benchmarks.errors import ProviderError
from benchmarks.measurement import Speed, summarise, time_in_turns
from client.decoding import BeamOptions
from client.evaluation.metrics import errors_by_utterance, rate_interval

OURS: Final = "ours"


class Decoding:
    """The job of decoding everything; keeps the last run's texts and each run's times."""

    def __init__(self, peer: Peer, log_probs: Sequence[NDArray[Any]]) -> None:
        self._peer = peer
        self._log_probs = log_probs
        self.texts: list[str] = []
        self.times_s: list[list[float]] = []  # of each run, of each utterance

    def __call__(self) -> None:
        """Decode all utterances."""
        texts, times_s = [], []
        for log_probs in self._log_probs:
            start_s = process_time()
            texts.append(self._peer.decode(log_probs))
            times_s.append(process_time() - start_s)
        self.texts = texts
        self.times_s.append(times_s)


@dataclass(frozen=True)
class Figures:
    """What a decoder made of the speech, and how fast.

    ``wer_interval`` is the bootstrap's, 95 %. Times are of an utterance: each one's median over the
    rounds, and of these the mean and percentiles.
    """

    name: str
    beam_width: int
    errors: int
    wer: float
    wer_interval: tuple[float, float]
    speed: Speed
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Trial:
    """One run of a decoder with a beam width."""

    name: str
    beam_width: int
    errors: int
    time_s: float


@dataclass(frozen=True)
class Comparison:
    """Figures of decoders, all of one run; ratios are to the first of ``same_settings``.

    ``left_out`` says of what is missing why.
    """

    same_settings: list[Figures]
    equal_errors: list[Figures]
    left_out: dict[str, str]


def measure(
    speech: Speech, options: BeamOptions, beam_widths: Collection[int], rounds: int
) -> Comparison:
    """Compare the decoders; ``beam_widths`` are those to choose from at equal errors, if any."""
    installed, left_out = _installed(speech, options)
    widths: dict[str, int] = {}
    if beam_widths:
        makers = {name: _maker(speech, options, name) for name in installed}
        trials = scan(speech, makers, sorted({*beam_widths, options.beam_width}))
        widths, above = at_equal_errors(trials, options.beam_width)
        left_out |= above
    peers = {name: (peer, options.beam_width) for name, peer in installed.items()}
    chosen = []
    for name, width in widths.items():
        chosen.append(name if width == options.beam_width else f"{name}, beam {width}")
        if chosen[-1] not in peers:
            peers[chosen[-1]] = _maker(speech, options, name)(width), width
    found = {each.name: each for each in compare(speech, peers, rounds)}
    return Comparison(
        same_settings=[found[name] for name in installed],
        equal_errors=[found[name] for name in chosen],
        left_out=left_out,
    )


def compare(speech: Speech, peers: Mapping[str, tuple[Peer, int]], rounds: int) -> list[Figures]:
    """Figures of decoders, given with their beam widths; ratios are to the first."""
    jobs = {name: Decoding(peer, speech.log_probs) for name, (peer, _) in peers.items()}
    runs = time_in_turns(jobs, rounds, warmups=1, clock=process_time)
    return [
        figures(speech.references, jobs[speed.name], speed, peers[speed.name][1])
        for speed in summarise(runs, speech.audio_s)
    ]


def figures(
    references: Sequence[str], decoding: Decoding, speed: Speed, beam_width: int
) -> Figures:
    """What the last rounds say of one decoder, as many as ``speed`` is of."""
    errors = errors_by_utterance(references, decoding.texts)  # [utterances, 2]
    total, words = errors.sum(axis=0).tolist()
    times_ms = 1000 * np.median(decoding.times_s[-speed.runs :], axis=0)  # [utterances]
    p50_ms, p95_ms, p99_ms = np.percentile(times_ms, (50, 95, 99)).tolist()
    return Figures(
        name=speed.name,
        beam_width=beam_width,
        errors=total,
        wer=total / max(words, 1),
        wer_interval=rate_interval(errors),
        speed=speed,
        mean_ms=float(times_ms.mean()),
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
    )


def scan(
    speech: Speech, makers: Mapping[str, Callable[[int], Peer]], beam_widths: Iterable[int]
) -> list[Trial]:
    """Each decoder with each beam width, run twice: the second run's time."""
    trials = []
    for beam_width, (name, make) in product(beam_widths, makers.items()):
        decoding = Decoding(make(beam_width), speech.log_probs)
        decoding()
        decoding()
        errors = errors_by_utterance(speech.references, decoding.texts)[:, 0].sum()
        trials.append(Trial(name, beam_width, int(errors), sum(decoding.times_s[-1])))
    return trials


def fastest_within(trials: Iterable[Trial], errors: int) -> dict[str, Trial]:
    """The fastest trial with no more than ``errors`` of each decoder that has one."""
    within = [trial for trial in trials if trial.errors <= errors]
    slowest_first = sorted(within, key=lambda trial: trial.time_s, reverse=True)
    return {trial.name: trial for trial in slowest_first}


def at_equal_errors(
    trials: Sequence[Trial], beam_width: int
) -> tuple[dict[str, int], dict[str, str]]:
    """The fastest beam width of each decoder with no more errors than ours with ``beam_width``.

    And of the decoders that have none, how near they come.
    """
    (limit,) = (
        trial.errors for trial in trials if (trial.name, trial.beam_width) == (OURS, beam_width)
    )
    fastest = fastest_within(trials, limit)
    widths, left_out = {}, {}
    for name in dict.fromkeys(trial.name for trial in trials):
        if name in fastest:
            widths[name] = fastest[name].beam_width
        else:
            fewest = min(trial.errors for trial in trials if trial.name == name)
            left_out[f"{name} with no more than {limit} word errors"] = f"it has {fewest} or more"
    return widths, left_out


def _installed(speech: Speech, options: BeamOptions) -> tuple[dict[str, Peer], dict[str, str]]:
    peers, left_out = {}, {}
    for name, make in PEERS.items():
        try:
            peers[name] = make(speech.contract, options)
        except ProviderError as error:
            left_out[name] = str(error)
    return peers, left_out


def _maker(speech: Speech, options: BeamOptions, name: str) -> Callable[[int], Peer]:
    return lambda width: PEERS[name](speech.contract, replace(options, beam_width=width))
