"""A tuning that is done: as a preset with the record of how it came about, as JSON, in tables."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from ...decoding import GreedyOptions
from ...decoding.preset import Preset
from ...wire.contract import Contract
from ..metrics import rate_interval
from ..result import Failure
from .comparison import Comparison, Measured
from .counting import Counted
from .parts import Example, Parts, count_words
from .trials import Space, Trial, best_of

_DISTRIBUTIONS: Final = ("nemo-ctc-triton", "nemo-ctc-search", "optuna")


@dataclass(frozen=True)
class Tuning:
    """What was searched and how, and what came of it.

    ``manifests`` name the part that was tuned on and the one held out, which may be of one file.
    Entries that failed are in neither part.
    """

    contract: Contract
    manifests: tuple[Path, Path]
    parts: Parts
    space: Space
    seed: int
    trials: Sequence[Trial]
    comparison: Comparison
    failures: tuple[Failure, ...] = ()

    @property
    def best(self) -> Trial:
        """The trial with the fewest errors, recommended or not."""
        return best_of(self.trials)

    def preset(self) -> Preset:
        """What is recommended, and the record of how it came about."""
        beams = {"tuned": self.best.options, "defaults": self.trials[0].options, "greedy": None}
        return Preset(
            beams[self.comparison.chosen],
            self.contract.checkpoint_sha256,
            self._record(),
            GreedyOptions(exact_nemo_text=self.space.options.exact_nemo_text),
        )

    def as_json(self) -> dict[str, Any]:
        """What is recommended and why, the record, what failed, and all trials."""
        return {
            "verdict": self.comparison.verdict(),
            **self._record(),
            "failures": [asdict(failure) for failure in self.failures],
            "trials": [self._trial(trial) for trial in self.trials],
        }

    def _record(self) -> dict[str, Any]:
        measured = self.comparison.by_name
        difference = self.comparison.against_greedy(self.comparison.tuned)
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "checkpoint": self.contract.checkpoint,
            "precision": self.contract.precision,
            "tuned_on": {
                **_part(self.manifests[0], self.parts.tuning),
                "word_errors": {name: each.tuning.errors for name, each in measured.items()},
            },
            "held_out": {
                **_part(self.manifests[1], self.parts.held_out),
                "word_errors": {name: each.held_out.errors for name, each in measured.items()},
                "tuned_minus_greedy_interval": [round(rate, 5) for rate in difference],
            },
            "chosen": self.comparison.chosen,
            "tuned": self.space.varied(self.best.options),
            "number_of_trials": len(self.trials),
            "seed": self.seed,
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in _DISTRIBUTIONS},
        }

    def _trial(self, trial: Trial) -> dict[str, Any]:
        return {
            **self.space.varied(trial.options),
            "word_errors": trial.counted.errors,
            "decoding_s": round(trial.counted.decoding_s, 3),
            "name": trial.name,
        }


def _part(manifest: Path, examples: Sequence[Example]) -> dict[str, Any]:
    return {"manifest": manifest.name, "utterances": len(examples), "words": count_words(examples)}


_SHOWN: Final = 10


def tables_of(tuning: Tuning) -> Iterator[Table]:
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
