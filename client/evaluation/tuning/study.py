"""Which weights to try: those that are widely used, then what Optuna makes of the results.

Flow: batch of weights → decoded → word errors back to the sampler → next batch. Batches have one
size, and are asked and told in order: the trials depend on the seed and on what is tuned, not on
the number of threads or on which is done first.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from ...decoding import BeamOptions
from .counting import Count
from .trials import KNOWN, RANGES, Space, Trial, best_of

_DECIMALS: Final = 2  # finer weights change no word
_BATCH: Final = 8
_LEAST_RANDOM: Final = 10
_RANDOM_SHARE: Final = 4  # one trial in so many looks anywhere, before the sampler learns


def search(space: Space, count: Count, trials: int, seed: int) -> Iterator[Trial]:
    """Try ``trials`` weights, the known ones first; then the narrower beams.

    Each trial comes as soon as it and those before it are done. Raises what ``count`` raises.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=seed,
        multivariate=True,  # alpha and beta make up for each other
        constant_liar=True,  # a batch is asked before it is known
        n_startup_trials=max(_LEAST_RANDOM, trials // _RANDOM_SHARE),
    )
    study = optuna.create_study(sampler=sampler)
    weights = {name: getattr(BeamOptions, name) for name in space.weights}
    for alpha, beta in KNOWN.values():
        study.enqueue_trial({**weights, "alpha": alpha, "beta": beta})
    step = 10.0**-_DECIMALS
    ranges: dict[str, BaseDistribution] = {
        name: FloatDistribution(*RANGES[name], step=step) for name in weights
    }
    names = [*KNOWN, *[""] * trials]
    done: list[Trial] = []
    while len(done) < trials:
        asked = [study.ask(ranges) for _ in range(min(_BATCH, trials - len(done)))]
        batch = [_options(space, trial.params) for trial in asked]
        for trial, options, counted in zip(asked, batch, count(batch), strict=True):
            study.tell(trial, counted.errors)
            done.append(Trial(trial.number, options, counted, names[trial.number]))
            yield done[-1]
    yield from _narrower(space, count, done)


def _narrower(space: Space, count: Count, done: Sequence[Trial]) -> Iterator[Trial]:
    """The best weights with narrower beams: where these do as well, they cost less."""
    best = best_of(done).options
    batch = [replace(best, beam_width=width) for width in space.narrower]
    yield from map(Trial, itertools.count(len(done)), batch, count(batch) if batch else ())


def _options(space: Space, weights: Mapping[str, float]) -> BeamOptions:
    rounded: dict[str, Any] = {name: round(weight, _DECIMALS) for name, weight in weights.items()}
    return replace(space.options, **rounded)
