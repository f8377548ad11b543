"""A tuning that is done: as a preset with the record of how it came about, and as JSON."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ...decoding import GreedyOptions
from ...decoding.preset import Preset
from ...wire.contract import Contract
from .acoustics import Utterance
from .comparison import Comparison
from .parts import Parts, count_words
from .trials import Space, Trial, best_of

_DISTRIBUTIONS: Final = ("nemo-ctc-triton", "kenlm", "optuna")


@dataclass(frozen=True)
class Tuning:
    """What was searched and how, and what came of it.

    ``manifests`` name the part that was tuned on and the one held out, which may be of one file.
    """

    contract: Contract
    manifests: tuple[Path, Path]
    parts: Parts
    space: Space
    seed: int
    trials: Sequence[Trial]
    comparison: Comparison

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
        """What is recommended and why, the record, and all trials."""
        return {
            "verdict": self.comparison.verdict(),
            **self._record(),
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


def _part(manifest: Path, utterances: Sequence[Utterance]) -> dict[str, Any]:
    return {
        "manifest": manifest.name,
        "utterances": len(utterances),
        "words": count_words(utterances),
    }
