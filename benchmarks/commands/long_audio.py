"""``long_audio``: recordings longer than the model takes, cut into windows and stitched.

The utterances of the manifests are joined, with pauses of noise. Those that the model still
takes in one piece are transcribed so and in windows of several lengths and overlaps: word errors of
each, by greedy decoding and by the preset's beam search. Then an hour of them in one file goes
through ``nemo-ctc transcribe``: text against that of the utterances one by one, word times
at its end, and the peak of the client's memory. Export the model with a ``--max-duration`` of some
minutes for the first part.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.table import Table

from benchmarks.load.arguments import add_target, open_target
from benchmarks.load.loop import Target
from benchmarks.long_audio.hour import Command, Outcome, expected_words, measure, write
from benchmarks.long_audio.sessions import (
    HISS,
    ROOM,
    Joining,
    Spoken,
    at_least,
    at_most,
    load_utterances,
)
from benchmarks.long_audio.windows import Cell, compare
from benchmarks.numbers import above
from benchmarks.report import write_report
from benchmarks.speech import add_manifests
from client.commands.outputs import output_path
from client.commands.streams import messages, tables
from client.decoding import BeamDecoder, BeamOptions, Decoder, GreedyDecoder, GreedyOptions
from client.decoding.preset import read_preset
from client.errors import DecoderError
from client.long_audio import LongAudioOptions
from client.transcriber import Transcriber
from client.wire.transport import TransportOptions, TritonTransport

PACKAGES: Final = ("jiwer", "kenlm", "numpy", "soundfile", "tritonclient", "nvidia-pytriton")
WINDOWS_S: Final = (10.0, 20.0, 30.0, 60.0, 120.0)
OVERLAPS_S: Final = (1.0, 2.0, 4.0, 8.0)
PARTS: Final = ("windows", "hour")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    args = _parser().parse_args(arguments)
    beam = read_preset(args.decoder_config).beam
    if beam is None:
        raise DecoderError(f"{args.decoder_config}: expected a preset of a beam search")
    figures: dict[str, Any] = {"noise": args.noise, "pauses_s": args.pauses, "seed": args.seed}
    with open_target(args) as target:
        if "windows" in args.parts:
            cells = _windows(args, target, beam)
            figures["windows"] = [{**asdict(cell), "rate": cell.rate} for cell in cells]
            tables(sys.stdout).print(_windows_table(cells))
        if "hour" in args.parts:
            outcomes = _hour(args, target, beam)
            figures["hour"] = [asdict(outcome) for outcome in outcomes]
            tables(sys.stdout).print(_hour_table(outcomes))
    write_report(args.output, PACKAGES, ["long_audio", *arguments], figures)
    return 0


def _windows(args: argparse.Namespace, target: Target, beam: BeamOptions) -> list[Cell]:
    with closing(TritonTransport(target.url, target.model, TransportOptions(600.0))) as transport:
        contract = transport.contract
        most_s = contract.max_samples / contract.sample_rate_hz
        joining = _joining(args, contract.sample_rate_hz)
        sessions = [
            session
            for manifest in args.manifest
            for session in at_most(load_utterances(manifest, joining.rate_hz), joining, most_s)
        ]
        decoders: dict[str, Decoder] = {
            "greedy": GreedyDecoder(contract, GreedyOptions(confidence=True)),
            "beam": BeamDecoder(contract, beam),
        }
        options = [
            LongAudioOptions(window_s, overlap_s)
            for window_s in args.windows
            for overlap_s in args.overlaps
            if overlap_s <= window_s / 2 and window_s <= most_s
        ]
        cells = []
        for cell in compare(transport, sessions, decoders, options):
            messages.print(" ".join(_cells(cell)))
            cells.append(cell)
    return cells


def _hour(args: argparse.Namespace, target: Target, beam: BeamOptions) -> list[Outcome]:
    outcomes = []
    ways: list[tuple[str, GreedyOptions | BeamOptions, list[str]]] = [
        ("greedy", GreedyOptions(confidence=True), []),
        ("beam", beam, ["--decoder-config", str(args.decoder_config)]),
    ]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hour.flac"
        for name, decoder, chosen in ways:
            with Transcriber(target.url, target.model, decoder=decoder) as transcriber:
                rate_hz = transcriber.contract.sample_rate_hz
                utterances = _utterances(args, rate_hz)
                session = at_least(utterances, _joining(args, rate_hz), 60 * args.minutes)
                expected = expected_words(transcriber, session)
            write(session, rate_hz, file)
            told = ["--url", target.url, "--model", target.model, *chosen]
            outcomes.append(measure(Command(name, told), session, file, expected))
    return outcomes


def _joining(args: argparse.Namespace, rate_hz: int) -> Joining:
    return Joining(rate_hz, tuple(args.pauses), args.noise, args.seed)


def _utterances(args: argparse.Namespace, rate_hz: int) -> list[Spoken]:
    return [each for manifest in args.manifest for each in load_utterances(manifest, rate_hz)]


def _windows_table(cells: Sequence[Cell]) -> Table:
    table = Table(title="Word errors of joined utterances")
    for heading in ("decoder", "taken as", "window s", "overlap s", "errors", "WER"):
        table.add_column(heading, no_wrap=True)
    for cell in cells:
        table.add_row(*_cells(cell))
    return table


def _cells(cell: Cell) -> tuple[str, ...]:
    lengths = ("" if each is None else f"{each:g}" for each in (cell.window_s, cell.overlap_s))
    errors = f"{cell.errors} of {cell.words}"
    return (cell.decoder, cell.way, *lengths, errors, f"{cell.rate:.2%}")


def _hour_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="One file")
    table.add_column("decoder", no_wrap=True)
    headings = (
        "audio s",
        "RTFx",
        "peak MiB",
        "WER",
        "by utterance",
        "times off ms: median",
        "95 %",
    )
    for heading in (*headings, "largest"):
        table.add_column(heading, justify="right")
    for each in outcomes:
        table.add_row(
            each.decoder,
            f"{each.audio_s:.0f}",
            f"{each.audio_s / each.wall_s:.0f}",
            f"{each.peak_mib:.0f}",
            f"{each.errors / each.words:.2%}",
            f"{each.errors_by_utterance / each.words:.2%}",
            f"{each.end_median_ms:.0f}",
            f"{each.end_percentile_95_ms:.0f}",
            f"{each.end_largest_ms:.0f}",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks long_audio",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    add_manifests(parser)
    add = parser.add_argument
    add(
        "--decoder-config",
        type=Path,
        required=True,
        metavar="PRESET.json",
        help="beam search as `tune` wrote it",
    )
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (both)")
    add("--windows", nargs="+", type=above(float), default=WINDOWS_S, metavar="S")
    add("--overlaps", nargs="+", type=above(float), default=OVERLAPS_S, metavar="S")
    add(
        "--pauses",
        nargs=2,
        type=above(float),
        default=(0.5, 1.5),
        metavar="S",
        help="shortest and longest between utterances (0.5 1.5)",
    )
    add("--noise", choices=(HISS, ROOM), default=HISS, help="of the pauses (%(default)s)")
    add("--minutes", type=above(float), default=60.0, help="of the one file (%(default)s)")
    add("--seed", type=int, default=0, help="of pauses and their noise (%(default)s)")
    add("--output", type=output_path, metavar="JSON", help="figures and their circumstances")
    return parser
