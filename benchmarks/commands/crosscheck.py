"""``crosscheck``: the same load from this benchmark and from Triton's perf_analyzer, in turns.

Both keep ``--concurrency`` requests in flight, of the same utterance, against the same server. As
perf_analyzer always asks for all outputs, ours asks for the log_probs too. What each takes of the
processor for a request is shown as well: on one machine the server lacks it.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.arguments import add_output, add_target, open_target
from benchmarks.load.loop import LoadOptions, Target, run_load
from benchmarks.load.perf_analyzer import Job, Opinion, fetch, measure, write_input
from benchmarks.load.sending import CLOSED, Choice, Level, Utterances, choose
from benchmarks.load.sweep import as_figures
from benchmarks.load.target import contract_of
from benchmarks.report import PACKAGES, Cells, write_report
from benchmarks.tables import rich_table
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages, tables
from client.decoding import GreedyOptions

OURS: Final = "ours"
THEIRS: Final = "perf_analyzer"
Opinions = dict[str, list[Opinion]]


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    program = fetch()
    with open_target(parsed) as target, tempfile.TemporaryDirectory() as folder:
        contract = contract_of(target)
        lengths = f"uniform:{parsed.audio_seconds}:{parsed.audio_seconds}"
        utterances = choose(Choice(lengths, parsed.manifest, count=1), contract)
        (samples,) = utterances.audio
        data = Path(folder) / "input.json"
        write_input(samples, data)
        # A client is led to the queue of the utterance's length, if there are any: so must this be.
        model = contract.model_for(target.model, len(samples))

        def theirs(in_flight: int) -> Opinion:
            return measure(program, Job(target.url, model, data, in_flight, parsed.seconds))

        sides: dict[str, Callable[[int], Opinion]] = {
            OURS: partial(_ours, target, utterances, parsed.seconds),
            THEIRS: theirs,
        }
        rows = [_row(each, _in_turns(sides, each, parsed.repeats)) for each in parsed.concurrency]
    title = f"{parsed.model}, one utterance of {parsed.audio_seconds:g} s again and again"
    tables(sys.stdout).print(rich_table(_cells(rows), title))
    write_report(parsed.output, PACKAGES, ["crosscheck", *arguments], {"comparison": rows})
    return 0


def _in_turns(
    sides: Mapping[str, Callable[[int], Opinion]], in_flight: int, repeats: int
) -> Opinions:
    found: Opinions = {name: [] for name in sides}
    for number in range(repeats):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(sides[name](in_flight))
            rate = found[name][-1].requests_per_s
            messages.print(f"{in_flight} in flight, {name}: {rate:.1f} requests/s")
    return found


def _ours(target: Target, utterances: Utterances, seconds: float, in_flight: int) -> Opinion:
    # Confidences are made of the log_probs.
    options = LoadOptions(seconds, decoder=GreedyOptions(confidence=True))
    level = Level(CLOSED, in_flight)
    figures = as_figures(run_load(target, utterances, level, options), level)
    latency = figures["latency_ms"]
    return Opinion(
        requests_per_s=figures["requests_per_s"],
        **{f"{name}_ms": latency[name] for name in ("mean", "p50", "p95", "p99")},
        generator_ms=1000 * figures["client"]["cpu_s_per_audio_s"] * utterances.durations_s[0],
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
