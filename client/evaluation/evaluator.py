"""Several systems on one manifest, over one acoustic pass for each model.

Flow: entries → ``evaluation.acoustics``, model by model →
``evaluation.decoding``, system by system → ``evaluation.scoring`` and
``evaluation.ctc_loss`` → ``Evaluation``. An entry that
fails anywhere is left out from there on, and is in no system's figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from ..decoding import make_decoder
from ..errors import AsrError
from ..manifests.manifest import Entry
from ..transcriber import Result
from .acoustics import AcousticModel
from .ctc_loss import ctc_loss
from .decoding import TimedTranscript, decode
from .normalization import normalized
from .result import Evaluation, Failure, System, Utterance
from .scoring import compared, differences, score
from .spelling import Spell, Tokenizers

if TYPE_CHECKING:
    from ..audio import Clip


@dataclass(frozen=True)
class EvaluationOptions:
    """How texts are compared and decoded."""

    normalization: tuple[str, ...] = ()
    """Names of ``normalization.STEPS``, done to references and hypotheses alike."""
    processes: int = 0
    """To search beams in; 0 for this one."""
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    """For the CTC loss of models with SentencePiece vocabularies."""


class Evaluator:
    """Hears, decodes and compares, step by step; each step tells what became of each entry.

    ``models`` are those of the systems by name. Raises ``DecoderError`` for a system that
    cannot decode or a tokenizer that is no model's, before hours of acoustics.
    """

    def __init__(
        self,
        manifest: Path,
        entries: Sequence[Entry],
        systems: Sequence[System],
        models: Mapping[str, AcousticModel],
        options: EvaluationOptions | None = None,
    ) -> None:
        self._manifest = manifest
        self._systems = tuple(systems)
        self._models = models
        self._options = options or EvaluationOptions()
        self._spell: dict[str, Spell] = {}
        for name, model in models.items():
            if (spell := self._options.tokenizers.spell(model.contract)) is not None:
                self._spell[name] = spell
        for system in systems:
            make_decoder(models[system.model].contract, system.decoder).close()
        self._left = {entry.line: entry for entry in entries}
        self._failures: dict[int, Failure] = {}
        self._decoded: dict[str, dict[int, TimedTranscript]] = {each.name: {} for each in systems}
        self._start_s = perf_counter()

    @property
    def left(self) -> int:
        """How many entries have not failed."""
        return len(self._left)

    def hear(self, model: str) -> Iterator[tuple[Entry, Result]]:
        """The acoustic pass of one model, in any order; texts are empty."""
        for entry, result in self._models[model].hear(list(self._left.values())):
            yield entry, self._noted(entry, result, model if len(self._models) > 1 else "")

    def decode(self, system: System) -> Iterator[tuple[Entry, Result]]:
        """What one system makes of what its model has heard, in order."""
        entries = list(self._left.values())
        model = self._models[system.model]
        utterances = [model.heard[entry.line] for entry in entries]
        outcomes = decode(model.contract, system.decoder, utterances, self._options.processes)
        for entry, utterance, outcome in zip(entries, utterances, outcomes, strict=True):
            if isinstance(outcome, TimedTranscript):
                self._decoded[system.name][entry.line] = outcome
                yield entry, Result(0, utterance.duration_s, outcome)
            else:
                result = Result(0, utterance.duration_s, error=outcome)
                where = system.name if len(self._systems) > 1 else ""
                yield entry, self._noted(entry, result, where)

    def log_probs(self, utterance: Utterance, model: str) -> NDArray[Any] | None:
        """What the model heard in an utterance, ``[S, V]``, while the folder is there."""
        heard = self._models[model].heard.get(utterance.line)
        return None if heard is None else heard.log_probs()

    def evaluation(self) -> Evaluation:
        """What was found, after all models have heard and all systems decoded."""
        utterances = tuple(map(self._utterance, self._left.values()))
        decoding_s = [
            sum(decoded[utterance.line].decoding_s for utterance in utterances)
            for decoded in self._decoded.values()
        ]
        return Evaluation(
            manifest=self._manifest,
            systems=self._systems,
            contracts={name: model.contract for name, model in self._models.items()},
            normalization=self._options.normalization,
            utterances=utterances,
            failures=tuple(self._failures[line] for line in sorted(self._failures)),
            scores=tuple(
                score(system, place, utterances, decoding_s[place])
                for place, system in enumerate(self._systems)
                if utterances
            ),
            differences=differences(self._systems, utterances) if utterances else (),
            audio_s=sum(utterance.duration_s for utterance in utterances),
            acoustic_s={name: model.seconds for name, model in self._models.items()},
            elapsed_s=perf_counter() - self._start_s,
        )

    def _noted(self, entry: Entry, result: Result, where: str) -> Result:
        """The result, its error told with where it happened."""
        if result.error is None:
            return result
        error = _placed(result.error, where)
        del self._left[entry.line]
        self._failures[entry.line] = Failure(entry.line, entry.name, str(error))
        return replace(result, error=error)

    def _utterance(self, entry: Entry) -> Utterance:
        reference: str = entry.fields["text"]
        steps = self._options.normalization
        model = self._models[self._systems[0].model]
        bare = Utterance(
            line=entry.line,
            name=entry.name,
            clip=cast("Clip", entry.item),  # errors have failed by now
            duration_s=model.heard[entry.line].duration_s,
            reference=normalized(reference, steps),
            recognized=tuple(
                compared(reference, decoded[entry.line], steps)
                for decoded in self._decoded.values()
            ),
        )
        return replace(bare, ctc_loss=dict(self._losses(bare)))

    def _losses(self, utterance: Utterance) -> Iterator[tuple[str, float]]:
        for name, spell in self._spell.items():
            model = self._models[name]
            heard = model.heard[utterance.line]
            tokens = spell(utterance.reference) if heard.whole else None
            if tokens is not None:
                yield name, ctc_loss(heard.log_probs(), tokens, model.contract.blank)


def _placed(error: AsrError, where: str) -> AsrError:
    return type(error)(f"{where}: {error}") if where else error
