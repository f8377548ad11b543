"""A tuning in tables: the best trials, and what they gain on the held-out part."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table

from ..metrics import rate_interval
from .comparison import Measured
from .processes import Counted
from .result import Tuning
from .trials import Trial

_SHOWN: Final = 10


def tables(tuning: Tuning) -> Iterator[Table]:
    """The tables, one after the other."""
    yield _trials(tuning)
    yield _comparison(tuning)


def _trials(tuning: Tuning) -> Table:
    ranked = sorted(tuning.trials, key=lambda trial: trial.rank)
    shown = [trial for place, trial in enumerate(ranked) if place < _SHOWN or trial.name]
    table = Table(title=f"Best of {len(ranked)} trials on {_size(tuning.comparison.tuned.tuning)}")
    varied = tuning.space.varied(tuning.space.options)
    for name in ("trial", *varied, "word errors", "WER", "decoding"):
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("")
    for trial in shown:
        table.add_row(*_trial(tuning, trial))
    return table


def _trial(tuning: Tuning, trial: Trial) -> Iterator[str]:
    yield str(trial.number)
    yield from (f"{value:g}" for value in tuning.space.varied(trial.options).values())
    yield str(trial.counted.errors)
    yield f"{trial.counted.rate:.2%}"
    yield f"{trial.counted.decoding_s:.2f} s"
    yield trial.name


def _comparison(tuning: Tuning) -> Table:
    table = Table(title=f"Check on the held-out {_size(tuning.comparison.tuned.held_out)}")
    table.add_column("")
    for name in (
        "errors, tuned on",
        "errors, held out",
        "WER",
        "95 % interval",
        "minus greedy",
        "95 % interval",
    ):
        table.add_column(name, justify="right")
    for name, measured in tuning.comparison.by_name.items():
        table.add_row(name, *_measured(tuning, measured))
    return table


def _measured(tuning: Tuning, measured: Measured) -> Iterator[str]:
    greedy = tuning.comparison.greedy
    yield str(measured.tuning.errors)
    yield str(measured.held_out.errors)
    yield f"{measured.held_out.rate:.2%}"
    low, high = rate_interval(measured.held_out.by_utterance)
    yield f"{low:.2%} to {high:.2%}"
    if measured is greedy:
        return
    yield f"{measured.held_out.rate - greedy.held_out.rate:+.2%}"
    low, high = tuning.comparison.against_greedy(measured)
    yield f"{low:+.2%} to {high:+.2%}"


def _size(counted: Counted) -> str:
    return f"{len(counted.by_utterance)} utterances, {counted.words} words"
