"""``crosscheck``: the same load from this benchmark and from Triton's perf_analyzer, in turns.

Both keep ``--concurrency`` requests in flight, of the same utterance, against the same server. As
perf_analyzer always asks for all outputs, ours asks for the log_probs too. What each takes of the
processor for a request is shown as well: on one machine the server lacks it.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.arguments import add_output, add_target, open_target
from benchmarks.load.loop import LoadOptions, Target, run_load
from benchmarks.load.perf_analyzer import Job, Opinion, Tool, fetch, measure, write_input
from benchmarks.load.sending import CLOSED, Choice, Level, Utterances, choose
from benchmarks.load.sweep import as_figures
from benchmarks.load.target import contract_of
from benchmarks.packages import PACKAGES
from benchmarks.report import Cells, write_report
from benchmarks.tables import rich_table
from client.commands.argument_types import positive
from client.commands.parser import CommandParser
from client.commands.streams import messages, tables
from client.decoding import GreedyOptions

OURS: Final = "ours"
THEIRS: Final = "perf_analyzer"
Opinions = dict[str, list[Opinion]]


@dataclass(frozen=True)
class Both:
    """What both are run with: the same server, the same utterance, as long."""

    target: Target
    tool: Tool
    utterances: Utterances
    options: LoadOptions
    repeats: int


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    # Confidences are made of the log_probs.
    options = LoadOptions(parsed.seconds, decoder=GreedyOptions(confidence=True))
    tool = fetch()
    with open_target(parsed) as target:
        both = Both(target, tool, _utterance(parsed, target), options, parsed.repeats)
        rows = [_row(level, _compare(both, level)) for level in parsed.concurrency]
    title = f"{parsed.model}, one utterance of {parsed.audio_seconds:g} s again and again"
    tables(sys.stdout).print(rich_table(_cells(rows), title))
    write_report(parsed.output, PACKAGES, ["crosscheck", *arguments], {"comparison": rows})
    return 0


def _utterance(parsed: argparse.Namespace, target: Target) -> Utterances:
    contract = contract_of(target)
    lengths = f"uniform:{parsed.audio_seconds}:{parsed.audio_seconds}"
    return choose(Choice(lengths, parsed.manifest, count=1), contract)


def _compare(both: Both, concurrency: int) -> Opinions:
    found: Opinions = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "input.json"
        write_input(both.utterances.audio[0], data)
        for number in range(both.repeats):
            for name in (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS):
                if name == OURS:
                    measured = _ours(both, concurrency)
                else:
                    measured = _theirs(both, data, concurrency)
                found[name].append(measured)
                rate = measured.requests_per_s
                messages.print(f"{concurrency} in flight, {name}: {rate:.1f} requests/s")
    return found


def _theirs(both: Both, data: Path, concurrency: int) -> Opinion:
    # A client is led to the queue of the utterance's length, if there are any: so must this be.
    n_samples = len(both.utterances.audio[0])
    model = contract_of(both.target).model_for(both.target.model, n_samples)
    job = Job(both.target.url, model, data, concurrency, both.options.seconds)
    return measure(both.tool, job)


def _ours(both: Both, concurrency: int) -> Opinion:
    level = Level(CLOSED, concurrency)
    figures = as_figures(run_load(both.target, both.utterances, level, both.options), level)
    latency = figures["latency_ms"]
    return Opinion(
        requests_per_s=figures["requests_per_s"],
        mean_ms=latency["mean"],
        p50_ms=latency["p50"],
        p95_ms=latency["p95"],
        p99_ms=latency["p99"],
        generator_ms=1000 * figures["client"]["cpu_s_per_audio_s"] * both.utterances.durations_s[0],
    )


def _row(concurrency: int, found: Opinions) -> dict[str, Any]:
    """Medians of both, all measurements, and how far ours are from theirs."""
    medians = {
        name: {
            field: statistics.median(getattr(each, field) for each in opinions)
            for field in Opinion.__dataclass_fields__
        }
        for name, opinions in found.items()
    }
    return {
        "concurrency": concurrency,
        **medians,
        "difference": {
            field: medians[OURS][field] / medians[THEIRS][field] - 1 for field in medians[OURS]
        },
        "all": {name: [asdict(each) for each in opinions] for name, opinions in found.items()},
    }


def _cells(rows: Sequence[Mapping[str, Any]]) -> Cells:
    names = {"requests_per_s": "requests/s", "mean_ms": "mean ms"}
    names |= {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "generator_ms": "generator's CPU ms"}
    body = [
        (
            str(row["concurrency"]),
            *(
                f"{row[OURS][field]:,.1f} / {row[THEIRS][field]:,.1f}"
                f" ({row['difference'][field]:+.1%})"
                for field in names
            ),
        )
        for row in rows
    ]
    return Cells(("in flight; ours / theirs", *names.values()), body)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks crosscheck", __doc__)
    add_target(parser)
    add = parser.add_argument
    add("--audio-seconds", type=positive(float), default=5.0, help="of the utterance (%(default)s)")
    add("--manifest", type=Path, metavar="M.jsonl", help="recordings to cut it out of (noise)")
    add("--concurrency", type=positive(int), nargs="+", default=(1, 4, 16), metavar="N")
    add("--seconds", type=positive(float), default=10.0, help="of each load (%(default)s)")
    add("--repeats", type=positive(int), default=3, help="rounds (%(default)s)")
    add_output(parser, "nothing else")
    return parser
