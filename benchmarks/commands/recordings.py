"""``recordings``: what cutting recordings at pauses changes, beside windows of 30 s.

joined: word errors of the manifests' utterances by themselves, and joined with pauses.

hour: an hour of them in one file through the command line: errors, word times at its end, memory.

noise: words that the model writes in hours without speech, and their confidence.

silence: recordings of which half is silent: speed, and processor time of the client, and of a
server that is seen.

cost: voice activity detection by itself.

Speech is of --manifest, which every part but noise needs; it is held in memory, 115 MB an hour at
16 kHz. Time silence and cost on a machine that does nothing else.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.arguments import add_target, open_target
from benchmarks.load.loop import Target
from benchmarks.load.target import contract_of, served_as
from benchmarks.recordings import hour, tables
from benchmarks.recordings.hallucinations import confidences_of_speech, hallucinate
from benchmarks.recordings.joined import PAUSES_S, Errors, Model, count_errors
from benchmarks.recordings.noises import noises
from benchmarks.recordings.sessions import Joining, Spoken, at_least, load_utterances
from benchmarks.recordings.silence import (
    RECORDING_S,
    half_silent,
    measure_detection,
    measure_silence,
)
from benchmarks.recordings.ways import ARGUMENTS
from benchmarks.report import PACKAGES, Cells, describe, write_json
from benchmarks.tables import rich_table
from client.commands.outputs import output_path
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages
from client.commands.streams import tables as console
from client.decoding import GreedyOptions
from client.decoding.preset import read_preset
from client.transcriber import Transcriber

NOISE: Final = "noise"
BEAM: Final = "beam"


@dataclass(frozen=True)
class Effort:
    """How much is measured: the first ``utterances`` of each manifest, or all.

    ``minutes`` are of each noise, of the hour and of what is half silent.
    """

    minutes: float
    seeds: int
    rounds: int
    utterances: int | None = None


FULL: Final = Effort(minutes=60, seeds=3, rounds=5)
SHORT: Final = Effort(minutes=0.5, seeds=1, rounds=1, utterances=16)


@dataclass(frozen=True)
class Subject:
    """What is measured, with how much effort; ``preset`` is the beam search's."""

    target: Target
    model: Model
    rate_hz: int
    manifests: Sequence[Sequence[Spoken]]
    preset: Path | None
    effort: Effort

    @property
    def utterances(self) -> list[Spoken]:
        """Those of all manifests."""
        return [each for manifest in self.manifests for each in manifest]

    @property
    def length_s(self) -> float:
        """Of what has a length to choose."""
        return 60 * self.effort.minutes


@dataclass(frozen=True)
class Found:
    """Figures, ready for JSON, and tables with their titles."""

    figures: Any
    tables: Sequence[tuple[str, Cells]]


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if not parsed.manifest and (speech := [part for part in parsed.parts if part != NOISE]):
        parser.error(f"--parts {' '.join(speech)}: needs --manifest M.jsonl, for its speech")
    preset = read_preset(parsed.decoder_config) if parsed.decoder_config else None
    if preset is not None and preset.beam is None:
        parser.error(f"--decoder-config: {parsed.decoder_config} is greedy, which runs anyway")
    effort = SHORT if parsed.short else FULL
    if parsed.minutes:
        effort = replace(effort, minutes=parsed.minutes)
    decoders = {
        GreedyOptions.name: GreedyOptions(),
        **({BEAM: preset.beam} if preset and preset.beam else {}),
    }
    with open_target(parsed) as target:
        rate_hz = contract_of(target).sample_rate_hz
        subject = Subject(
            target=target,
            model=Model(target.url, target.model, decoders),
            rate_hz=rate_hz,
            manifests=[
                load_utterances(each, rate_hz, effort.utterances) for each in parsed.manifest
            ],
            preset=parsed.decoder_config,
            effort=effort,
        )
        report = {
            **describe(PACKAGES, ["recordings", *arguments]),
            "served": served_as(target),
            "effort": asdict(effort),
        }
        for part in parsed.parts:
            messages.print(f"{part} …")
            found = PARTS[part](subject)
            for title, cells in found.tables:
                console(sys.stdout).print(rich_table(cells, title))
            report[part] = found.figures
            write_json(parsed.output, report)  # what is measured is kept, whatever follows
    return 0


def _joined(subject: Subject) -> Found:
    def tell(errors: Errors) -> None:
        pauses = f", pauses of {errors.pauses}" if errors.pauses else ""
        messages.print(f"  {errors.decoder}, {errors.way}{pauses}: {errors.rate:.2%}")

    found = count_errors(subject.model, subject.manifests, subject.effort.seeds, tell)
    figures = [{**asdict(each), "rate": each.rate} for each in found]
    return Found(figures, [tables.of_errors(found)])


def _hour(subject: Subject) -> Found:
    joining = Joining(subject.rate_hz, PAUSES_S)
    session = at_least(subject.utterances, joining, subject.length_s)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hour.flac"
        hour.write(session, subject.rate_hz, file)
        found = []
        for decoder, options in subject.model.decoders.items():
            model = subject.model
            with Transcriber(model.url, model.name, decoder=options) as transcriber:
                expected = hour.expected_words(transcriber, session)
            for command in _commands(subject, decoder):
                messages.print(f"  {command.decoder}, {command.way}")
                found.append(hour.measure(command, session, file, expected))
    return Found([asdict(each) for each in found], [tables.of_hour(found)])


def _commands(subject: Subject, decoder: str) -> Iterator[hour.Command]:
    model = subject.model
    preset = ["--decoder-config", str(subject.preset)] if decoder == BEAM else []
    for way, arguments in ARGUMENTS.items():
        server = ("--url", model.url, "--model", model.name)
        yield hour.Command(decoder, way, [*server, *preset, *arguments])


def _noise(subject: Subject) -> Found:
    found = []
    for noise in noises(subject.utterances):
        for each in hallucinate(subject.model.url, subject.model.name, noise, subject.length_s):
            messages.print(f"  {each.noise}, {each.way}: {each.words_per_hour:,.0f} words an hour")
            found.append(each)
    figures: dict[str, Any] = {"noises": [asdict(each) for each in found]}
    of_speech = {}
    if subject.manifests:
        of_speech = confidences_of_speech(subject.model.url, subject.model.name, subject.utterances)
        figures["speech"] = {name: asdict(each) for name, each in of_speech.items()}
    return Found(figures, [tables.of_noise(found), tables.of_confidence(found, of_speech)])


def _silence(subject: Subject) -> Found:
    recordings = half_silent(subject.utterances, subject.rate_hz, subject.length_s)
    found = measure_silence(
        subject.target,
        recordings,
        subject.effort.rounds,
        lambda name: messages.print(f"  {name}"),
    )
    return Found([asdict(each) for each in found], [tables.of_silence(found)])


def _cost(subject: Subject) -> Found:
    length_s = min(RECORDING_S, subject.length_s)
    speech = at_least(subject.utterances, Joining(subject.rate_hz, PAUSES_S), length_s)
    found = measure_detection(speech.samples, subject.rate_hz, subject.effort.rounds)
    return Found(asdict(found), [tables.of_cost(found)])


PARTS: Final[dict[str, Callable[[Subject], Found]]] = {
    "joined": _joined,
    "hour": _hour,
    NOISE: _noise,
    "silence": _silence,
    "cost": _cost,
}


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks recordings", __doc__)
    add_target(parser)
    group = parser.add_argument_group("recordings")
    text = "utterances with text; several are joined each by itself"
    add = group.add_argument
    add("--manifest", type=Path, action="append", default=[], metavar="M.jsonl", help=text)
    text = "beam search as `tune` wrote it, beside greedy decoding"
    add("--decoder-config", type=Path, metavar="PRESET.json", help=text)
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (all)")
    text = f"of each noise, of the hour and of what is half silent (default {FULL.minutes:g})"
    add("--minutes", type=positive(float), metavar="N", help=text)
    text = (
        f"a quick look: {SHORT.utterances} utterances of each manifest, {SHORT.minutes:g} minutes, "
        "one seed, one round"
    )
    add("--short", action="store_true", help=text)
    text = "figures and circumstances, written after each part"
    parser.add_argument("--output", type=output_path, metavar="RUN.json", help=text)
    return parser
