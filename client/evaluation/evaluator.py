"""Several systems on one manifest, over one acoustic pass for each model.

Flow: entries → ``scored`` texts → ``acoustics``, model by model → ``decoding``, system by system →
``scoring`` and ``references`` → ``Evaluation``. An entry that fails anywhere is left out from there
on, and is in no system's figures.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Final, cast

from ..audio import Clip, Warn
from ..decoding import make_decoder
from ..errors import ManifestError
from ..manifests.manifest import Entry, Manifest, duration_of, entries_of, path_of, with_text
from ..result import Result
from ..utils.extras import import_extra
from .acoustics import AcousticModel, AcousticOptions, acoustic_models
from .decoding import TimedTranscript, decode
from .normalization import STEPS, normalized
from .progress import OnProgress, ignore, tracked
from .references import Spell, Tokenizers, ctc_loss, warn_of_unwritable
from .result import Evaluation, Failure, Scored, System, Utterance
from .scored import scored_texts
from .scoring import compared, differences, groups, scores

_NO_RECORDING: Final = Clip(b"")


@dataclass(frozen=True)
class EvaluationOptions:
    """How texts are compared and decoded.

    Raises ``ValueError`` for an unknown step of normalisation.
    """

    normalization: tuple[str, ...] = ()
    """Names of ``normalization.STEPS``, done to references and hypotheses alike."""
    by: tuple[str, ...] = ()
    """Fields of the manifest, such as ``speaker``: rates are also given for each value."""
    threads: int = 0
    """Threads for beam search; 0 decodes in the caller's."""
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    """For the CTC loss of models with SentencePiece vocabularies."""
    acoustics: AcousticOptions = field(default_factory=AcousticOptions)
    """How recordings are read and sent, and where outputs are kept."""

    def __post_init__(self) -> None:
        steps = self.normalization
        if isinstance(steps, str) or not STEPS.keys() >= set(steps):
            raise ValueError(
                f"normalization is {steps!r}, expected a tuple of some of {', '.join(STEPS)}"
            )


def evaluate(  # noqa: PLR0913 -- all but two have defaults
    manifest: Manifest,
    systems: Sequence[System],
    url: str | Sequence[str] = (),
    options: EvaluationOptions | None = None,
    *,
    on_progress: OnProgress = ignore,
    warn: Warn = warnings.warn,
) -> Evaluation:
    """The systems' error rates on the manifest, whose entries have a reference, ``text``.

    ``url`` is that of the server with the systems' models; with scored texts alone, there is none.
    Entries that fail are in ``Evaluation.failures``. ``on_progress`` is called for each entry in
    each step, ``warn`` for references that a model cannot write and the like.

    Raises ``ManifestError`` for a manifest or scored texts that cannot be used, ``DecoderError``
    for a system that cannot decode, ``OutputError`` for a cache that cannot be written, the errors
    of ``Transcriber``, ``MissingPackage`` without jiwer, and ``ValueError`` for systems of one
    name, or of models without a ``url``.
    """
    import_extra("jiwer", "evaluate", "evaluation")  # before hours of acoustics
    options = options or EvaluationOptions()
    names = [system.model for system in systems if not system.scored]
    if names and not url:
        raise ValueError(f"url is missing: give the server of {', '.join(names)}")
    if len({system.name for system in systems}) < len(systems):
        raise ValueError("two systems share a name: give each its own")
    path, lines = path_of(manifest), entries_of(manifest)
    entries = list(with_text(lines if names else map(_without_recording, lines)))
    _check_entries(path, entries, options.by)
    with acoustic_models(url, names, options.acoustics) as models:
        return Evaluator(path, entries, systems, models, options, warn).run(on_progress)


class Evaluator:
    """Runs the models, decodes and compares, once.

    ``models`` are those of the systems by name, ``entries`` have a ``text`` or are errors. Raises
    ``DecoderError`` for a system that cannot decode or a tokenizer that is no model's, before hours
    of acoustics.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- as evaluate
        self,
        manifest: Path,
        entries: Sequence[Entry],
        systems: Sequence[System],
        models: Mapping[str, AcousticModel],
        options: EvaluationOptions,
        warn: Warn,
    ) -> None:
        self._manifest = manifest
        self._systems = tuple(systems)
        self._models = models
        self._options = options
        self._warn = warn
        self._entries = entries
        self._remaining = {entry.line: entry for entry in entries}
        self._failures: dict[int, Failure] = {}
        self._texts: dict[str, dict[int, TimedTranscript]] = {each.name: {} for each in systems}
        self._spell: dict[str, Spell] = {}
        for name, model in models.items():
            if (spell := options.tokenizers.spell(model.contract)) is not None:
                self._spell[name] = spell
        self._check_systems()
        self._check_references()

    def run(self, on_progress: OnProgress = ignore) -> Evaluation:
        """Everything, step by step."""
        start_s = perf_counter()
        for system in self._systems:
            if system.scored:
                self._step(f"Reading {system.name}", self._read(system), "", on_progress)
        several = len(self._models) > 1
        for name, model in self._models.items():
            step, where = (f"Transcribing with {name}", name) if several else ("Transcribing", "")
            self._step(step, model.run(list(self._remaining.values())), where, on_progress)
        for system in self._decoded:
            where = system.name if len(self._systems) > 1 else ""
            self._step(f"Decoding {system.name}", self._decode(system), where, on_progress)
        return self._evaluation(start_s)

    @property
    def _decoded(self) -> list[System]:
        """The systems that decode a model's outputs."""
        return [system for system in self._systems if not system.scored]

    def _check_systems(self) -> None:
        for system in self._decoded:
            contract = self._models[system.model].contract
            make_decoder(contract, system.decoder).close()
            if system.checkpoint_sha256 not in ("", contract.checkpoint_sha256):
                self._warn(
                    f"the preset of {system.name} was tuned for another checkpoint than the one "
                    f"that {system.model} was exported from: tune again, wrong weights do worse "
                    "than greedy"
                )

    def _check_references(self) -> None:
        usable = (entry for entry in self._entries if not isinstance(entry.item, ManifestError))
        texts = [self._normalized(str(entry.fields["text"])) for entry in usable]
        for model in self._models.values():
            warn_of_unwritable(texts, model.contract, self._warn)

    def _step(
        self,
        name: str,
        results: Iterable[tuple[Entry, Result]],
        where: str,
        on_progress: OnProgress,
    ) -> None:
        noted = ((entry, self._noted(entry, result, where)) for entry, result in results)
        for _ in tracked(name, noted, len(self._remaining), on_progress):
            pass

    def _read(self, system: System) -> Iterator[tuple[Entry, Result]]:
        texts = scored_texts(cast("Scored", system.scored), self._entries, self._warn)
        for entry in list(self._remaining.values()):
            text = entry.item if isinstance(entry.item, ManifestError) else texts[entry.line]
            if isinstance(text, ManifestError):
                yield entry, Result(0, error=text)
            else:
                transcript = self._texts[system.name][entry.line] = TimedTranscript(text)
                yield entry, Result(0, transcript=transcript)

    def _decode(self, system: System) -> Iterator[tuple[Entry, Result]]:
        entries = list(self._remaining.values())
        model = self._models[system.model]
        outputs = [model.outputs[entry.line] for entry in entries]
        outcomes = decode(model.contract, system.decoder, outputs, self._options.threads)
        for entry, output, outcome in zip(entries, outputs, outcomes, strict=True):
            if isinstance(outcome, TimedTranscript):
                self._texts[system.name][entry.line] = outcome
                yield entry, Result(0, output.duration_s, outcome)
            else:
                yield entry, Result(0, output.duration_s, error=outcome)

    def _noted(self, entry: Entry, result: Result, where: str) -> Result:
        """The result, its error with the model or system that failed."""
        if result.error is None:
            return result
        error = result.error
        if where:
            error = error.amended(message=f"{where}: {error.message}")
        del self._remaining[entry.line]
        self._failures[entry.line] = Failure(entry.line, entry.name, error.message)
        return replace(result, error=error)

    def _evaluation(self, start_s: float) -> Evaluation:
        systems, utterances = self._systems, tuple(map(self._utterance, self._remaining.values()))
        return Evaluation(
            manifest=self._manifest,
            systems=systems,
            contracts={name: model.contract for name, model in self._models.items()},
            normalization=self._options.normalization,
            utterances=utterances,
            failures=tuple(self._failures[line] for line in sorted(self._failures)),
            scores=scores(systems, utterances),
            differences=differences(systems, utterances),
            audio_s=sum(utterance.duration_s for utterance in utterances),
            acoustic_s={name: model.seconds for name, model in self._models.items()},
            groups=tuple(
                group for name in self._options.by for group in groups(name, systems, utterances)
            ),
            elapsed_s=perf_counter() - start_s,
            outputs={name: model.outputs for name, model in self._models.items()},
        )

    def _utterance(self, entry: Entry) -> Utterance:
        reference: str = entry.fields["text"]
        bare = Utterance(
            line=entry.line,
            name=entry.name,
            clip=cast("Clip", entry.item),  # errors have failed by now
            duration_s=self._duration_s(entry),
            reference=self._normalized(reference),
            recognized=tuple(
                compared(reference, texts[entry.line], self._options.normalization)
                for texts in self._texts.values()
            ),
            fields=entry.fields,
        )
        return replace(bare, ctc_loss=dict(self._losses(bare)))

    def _duration_s(self, entry: Entry) -> float:
        for model in self._models.values():
            return model.outputs[entry.line].duration_s
        duration_s = duration_of(entry)
        return duration_s if math.isfinite(duration_s) else 0.0

    def _losses(self, utterance: Utterance) -> Iterator[tuple[str, float]]:
        for name, spell in self._spell.items():
            model = self._models[name]
            output = model.outputs[utterance.line]
            tokens = spell(utterance.reference) if output.whole else None
            if tokens is not None:
                yield name, ctc_loss(output.log_probs(), tokens, model.contract.blank)

    def _normalized(self, text: str) -> str:
        return normalized(text, self._options.normalization)


def _check_entries(manifest: Path, entries: Sequence[Entry], by: Sequence[str]) -> None:
    if not entries:
        raise ManifestError(
            f"{manifest}: holds no utterances to evaluate, expected JSON Lines with text"
        )
    known = dict.fromkeys(name for entry in entries for name in entry.fields)
    for name in by:
        if name not in known:
            raise ManifestError(
                f"{manifest}: no entry has the field {name!r} to group by, expected one of "
                f"{', '.join(known)}"
            )


def _without_recording(entry: Entry) -> Entry:
    """An entry of which only the text is of interest; a line that is no JSON object stays one."""
    unusable = isinstance(entry.item, ManifestError) and entry.fields
    return replace(entry, item=_NO_RECORDING) if unusable else entry
