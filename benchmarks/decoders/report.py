"""The comparison on some speech: who takes part, with which settings, and what came of it.

Flow: speech and options → decoders that are installed → the same settings for all, and of each the
fastest beam width with no more errors than ours → with our decoder's variants, all of them in turns
→ :class:`Comparison`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.decoders.comparison import Figures, Trial, compare, fastest_within, scan
from benchmarks.decoders.peers import PEERS, Peer
from benchmarks.decoders.steps import STEPS
from benchmarks.errors import ProviderError
from benchmarks.speech import Speech
from client.decoding import BeamOptions

OURS: Final = "ours"


@dataclass(frozen=True)
class Plan:
    """How much to measure: beam widths to choose from, our variants or not, rounds of turns."""

    beam_widths: tuple[int, ...]
    steps: bool
    rounds: int


@dataclass(frozen=True)
class Comparison:
    """Figures of decoders, all of one run; ratios are to the first of ``same_settings``.

    ``left_out`` says of what is missing why.
    """

    same_settings: list[Figures]
    equal_errors: list[Figures]
    steps: list[Figures]
    left_out: dict[str, str]


def measure(speech: Speech, options: BeamOptions, plan: Plan) -> Comparison:
    """Compare the decoders."""
    installed, left_out = _installed(speech, options)
    widths: dict[str, int] = {}
    if plan.beam_widths:
        makers = {name: _maker(speech, options, name) for name in installed}
        trials = scan(speech, makers, sorted({*plan.beam_widths, options.beam_width}))
        widths, above = at_equal_errors(trials, options.beam_width)
        left_out |= above
    peers = {name: (peer, options.beam_width) for name, peer in installed.items()}
    chosen = []
    for name, width in widths.items():
        chosen.append(name if width == options.beam_width else f"{name}, beam {width}")
        if chosen[-1] not in peers:
            peers[chosen[-1]] = _maker(speech, options, name)(width), width
    steps = STEPS if plan.steps else {}
    for name, make in steps.items():
        peers[name] = make(speech.contract, options), options.beam_width
    found = {each.name: each for each in compare(speech, peers, plan.rounds)}
    return Comparison(
        same_settings=[found[name] for name in installed],
        equal_errors=[found[name] for name in chosen],
        steps=[found[name] for name in steps],
        left_out=left_out,
    )


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
