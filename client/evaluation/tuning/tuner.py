"""The whole tuning: manifest in, weights with the record of how they were found out."""

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from ...audio import Warn
from ...audio.options import STRICT
from ...manifests.manifest import Manifest, path_of
from ...utils.extras import import_extra
from ..acoustic_cache import default_folder
from ..acoustics import AcousticModel, AcousticOptions, acoustic_models
from ..progress import OnProgress, ignore
from ..references import warn_of_unwritable
from ..result import Failure
from .comparison import compare, greedy_beside
from .counting import Counted, DecodingThreads
from .parts import Parts, hold_out, read_examples
from .result import Tuning
from .trials import Space, Trial


@dataclass(frozen=True)
class TuningOptions:
    """How long to search, and how recordings are read."""

    trials: int = 100
    seed: int = 0
    threads: int = os.cpu_count() or 1
    """To decode in."""
    acoustics: AcousticOptions = field(
        default_factory=lambda: AcousticOptions(audio=STRICT, cache=default_folder())
    )
    """Half a recording does not fit its text: so damaged ones fail by default."""


@dataclass(frozen=True)
class Searched:
    """The ``trials`` so far, of ``total``, and greedy decoding of the same part."""

    trials: Sequence[Trial]
    total: int
    greedy: Counted


OnTrial: TypeAlias = Callable[[Searched], None]


def tune(  # noqa: PLR0913, PLR0917 -- what to tune, where, and two callbacks
    manifest: Manifest,
    space: Space,
    url: str | Sequence[str],
    model: str,
    held_out: Manifest | None = None,
    options: TuningOptions | None = None,
    *,
    on_progress: OnProgress = ignore,
    on_trial: OnTrial = lambda _: None,
    warn: Warn = warnings.warn,
) -> Tuning:
    """The best weights in ``space`` on the manifest, whose entries have a reference, ``text``.

    They are checked on ``held_out``, or on a third of the manifest, which is not tuned on then.
    Entries that fail are in ``Tuning.failures``. Raises ``ManifestError`` for manifests that cannot
    be used, ``DecoderError`` for a language model that cannot, ``MissingPackage`` without optuna,
    ``OutputError`` for a cache that cannot be written, and the errors of ``Transcriber``; those of
    the server during the acoustic pass too: they are no recording's fault, and the cache keeps
    what was done.
    """
    options = options or TuningOptions()
    import_extra("jiwer", "tune", "tuning")
    search = optional("study").search
    manifests = (path_of(manifest), path_of(manifest if held_out is None else held_out))
    with (
        acoustic_models(url, [model], options.acoustics) as models,
        closing(DecodingThreads(models[model].contract, options.threads)) as threads,
    ):
        threads.check(space.options)  # a bad language model, before hours of acoustics
        parts, failures = _parts(models[model], manifest, held_out, on_progress, warn)
        count, check = (partial(threads.count, examples=part) for part in parts)
        (greedy,) = count([greedy_beside(space.options)])
        trials: list[Trial] = []
        on_trial(searched := Searched(trials, options.trials + len(space.narrower), greedy))
        for trial in search(space, count, options.trials, options.seed):
            trials.append(trial)
            on_trial(searched)
        comparison = compare(greedy, trials, check)
    return Tuning(
        models[model].contract, manifests, parts, space, options.seed, trials, comparison, failures
    )


def optional(module: str) -> Any:
    """A module here whose packages are optional; raises ``MissingPackage`` without them."""
    return import_extra(f".{module}", "tune", "tuning", __package__)


def _parts(
    model: AcousticModel,
    manifest: Manifest,
    held_out: Manifest | None,
    on_progress: OnProgress,
    warn: Warn,
) -> tuple[Parts, tuple[Failure, ...]]:
    """The parts, of two manifests or of the one, and what failed."""
    examples, failures = read_examples(manifest, model, on_progress)
    warn_of_unwritable((each.reference for each in examples), model.contract, warn)
    if held_out is None:
        return hold_out(examples), tuple(failures)
    others, more = read_examples(held_out, model, on_progress)
    parts = Parts(examples, others)
    if parts.common:
        warn(
            f"{parts.common} of {len(others)} held-out utterances have sentences that are tuned on"
            " too: the check is easier than it should be"
        )
    return parts, (*failures, *more)
