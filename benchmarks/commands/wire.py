"""``wire``: types, outputs, compression, shared memory and padding between client and server.

Variants of a model, made for this run alone, are served beside it by one embedded server, and take
turns: bytes each way, processor time of both sides, latency of a single request, word errors. For
a large vocabulary the model's own replies are blown up to 1,025 columns and 12.5 frames a second.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.load.arguments import contract_of
from benchmarks.load.lengths import Choice, choose
from benchmarks.load.loop import Target
from benchmarks.load.packages import PACKAGES
from benchmarks.load.table import markdown, rich_table
from benchmarks.load.target import embedded
from benchmarks.numbers import above
from benchmarks.report import write_report
from benchmarks.wire.accuracy import accuracies, read_recordings
from benchmarks.wire.costs import Pace, costs
from benchmarks.wire.padding import paddings
from benchmarks.wire.tables import Cells, accuracy_cells, cost_cells, padding_cells
from benchmarks.wire.variants import write_variants
from benchmarks.wire.ways import PARTS
from client.commands.outputs import output_path
from client.commands.streams import messages, tables
from client.decoding import DecoderOptions, GreedyOptions
from client.decoding.preset import read_preset

ACCURACY: Final = "accuracy"
PADDING: Final = "padding"
MIXED: Final = "uniform:1:10"


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    with TemporaryDirectory() as folder:
        write_variants(parsed.repository, parsed.model, Path(folder))
        with embedded(Path(folder), parsed.model, gpu=False) as target:
            found = dict(_found(part, parsed, target) for part in parsed.parts)
    console = tables(sys.stdout)
    titled = {_title(part, parsed): cells for part, (_, cells) in found.items()}
    for title, cells in titled.items():
        console.print(rich_table(cells, title))
    if parsed.output is not None:
        settings = {name: _plain(value) for name, value in vars(parsed).items()}
        figures = {part: each for part, (each, _) in found.items()}
        write_report(
            parsed.output, PACKAGES, ["wire", *arguments], {"settings": settings} | figures
        )
        text = "\n".join(f"{title}\n\n{markdown(cells)}" for title, cells in titled.items())
        parsed.output.with_suffix(".md").write_text(text, encoding="utf-8")
    return 0


def _found(
    part: str, parsed: argparse.Namespace, target: Target
) -> tuple[str, tuple[list[dict[str, Any]], Cells]]:
    """The part's name, figures and table."""
    messages.print(f"measuring: {part}")
    contract = contract_of(target)
    found: Sequence[Any]
    if part == ACCURACY:
        recordings = read_recordings(parsed.manifest, contract.sample_rate_hz)
        found = accuracies(target, contract, recordings, _decoders(parsed))
        cells = accuracy_cells(found)
    elif part == PADDING:
        choice = Choice(MIXED, parsed.manifest, parsed.utterances)
        found = paddings(target, choose(choice, contract).audio, parsed.in_flight)
        cells = padding_cells(found)
    else:
        length = f"uniform:{parsed.seconds}:{parsed.seconds}"
        (samples,) = choose(Choice(length, parsed.manifest, count=1), contract).audio
        pace = Pace(parsed.rounds, parsed.requests)
        found = costs(target, PARTS[part], samples, contract.sample_rate_hz, pace)
        cells = cost_cells(found)
    return part, ([asdict(each) for each in found], cells)


def _decoders(parsed: argparse.Namespace) -> Mapping[str, DecoderOptions]:
    decoders: dict[str, DecoderOptions] = {"greedy": GreedyOptions(confidence=True)}
    if parsed.decoder_config is not None:
        beam = read_preset(parsed.decoder_config).beam
        if beam is not None:
            decoders["beam"] = beam
    return decoders


def _title(part: str, parsed: argparse.Namespace) -> str:
    model = parsed.model
    if part == ACCURACY:
        return f"{model}: word errors on {parsed.manifest.name}"
    if part == PADDING:
        return f"{model}: kB per audio second, 1-10 s each, {parsed.in_flight} in flight"
    return f"{model}: {part}, kB per audio second and ms per request of {parsed.seconds:g} s"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks wire", description=__doc__)
    add = parser.add_argument
    parts = (*PARTS, ACCURACY, PADDING)
    add("--repository", type=Path, required=True, metavar="DIR", help="where the model is")
    add("--model", required=True, metavar="NAME", help="exported model, on the CPU")
    add(
        "--manifest",
        type=Path,
        required=True,
        metavar="M.jsonl",
        help="recordings with text, to count errors on and to cut drawn lengths out of",
    )
    add("--decoder-config", type=Path, metavar="PRESET.json", help="count beam's errors too")
    add("--parts", nargs="+", choices=parts, default=parts, metavar="PART", help="(%(choices)s)")
    add("--seconds", type=above(float), default=10.0, help="of a single request (%(default)s)")
    add("--rounds", type=above(int), default=12, help="of single requests (%(default)s)")
    add("--requests", type=above(int), default=16, help="of a way in a round (%(default)s)")
    add("--utterances", type=above(int), default=128, help="of mixed lengths (%(default)s)")
    add("--in-flight", type=above(int), default=64, help="of mixed lengths (%(default)s)")
    add("--output", type=output_path, metavar="RUN.json", help="figures; tables (.md) beside it")
    return parser
