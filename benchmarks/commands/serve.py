"""``serve``: load on a served model, at several levels, through the project's own client.

``--concurrency N`` keeps N requests in flight, ``--rate R`` sends R a second at random times
whatever the server does. Levels take turns, ``--repeats`` times. Every finished point is in
``--output`` at once, and ``--resume`` goes on with it; table, plot and page are written beside it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.arguments import (
    add_audio,
    add_load,
    add_output,
    add_resume,
    add_target,
    check_resume,
    load_options,
    open_target,
    settings_of,
    utterances_of,
)
from benchmarks.load.page import page
from benchmarks.load.sending import CLOSED, OPEN, Level
from benchmarks.load.summary import about, by_level, table
from benchmarks.load.sweep import Points, Run, Turn, sweep, turns
from benchmarks.load.target import served_as
from benchmarks.plots import plot_sweep
from benchmarks.report import PACKAGES, describe, markdown, write_text
from benchmarks.tables import rich_table
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages, tables

CONCURRENCIES: Final = (1, 4, 16, 64)
SHORT: Final = 5


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    check_resume(parser, parsed)
    options = load_options(parser, parsed)
    plan = list(turns(_levels(parsed), parsed.repeats))
    with open_target(parsed) as target:
        utterances = utterances_of(parsed, target)
        document = {
            **describe(PACKAGES, ["serve", *arguments]),
            "settings": {**settings_of(parsed, options), "served": served_as(target)},
            "audio": utterances.source,
            "lengths_s": [round(each, 3) for each in utterances.durations_s],
        }
        points = Points(parsed.output, document)
        if parsed.resume:
            points.resume()
        try:
            sweep(Run(target, utterances, options), plan, points, _tell)
        finally:
            _report(points, parsed)
    return 0


def _report(points: Points, parsed: argparse.Namespace) -> None:
    """Print and write what there is, also when the sweep was cut short."""
    document, output = points.document, parsed.output
    summaries = by_level(document["points"])
    if not summaries:
        return
    cells = table(summaries)
    tables(sys.stdout).print(rich_table(cells, f"{parsed.model} under load"))
    if output is not None:
        text = f"{markdown(cells)}\n{' '.join(about(document))}\n"
        write_text(output.with_suffix(".md"), text)
        plot = output.with_suffix(".png")
        plot_sweep(summaries, parsed.model, plot)
        write_text(output.with_suffix(".html"), page(document, plot.read_bytes()))


def _tell(turn: Turn, figures: Mapping[str, Any]) -> None:
    latency = figures["latency_ms"]
    notes = ""
    if latency:
        notes += f", p95 {latency['p95']:.0f} ms"
    if figures["failed"]:
        notes += f", {figures['failed']} FAILED"
    if latency and figures["wall_s"] < SHORT * latency["p50"] / 1000:
        notes += f" (less than {SHORT} times the median latency: give it more --seconds)"
    messages.print(
        f"{turn.level.label}, round {turn.repeat + 1}: RTFx {figures['rtfx']:.1f}{notes}"
    )


def _levels(parsed: argparse.Namespace) -> list[Level]:
    concurrencies = parsed.concurrency
    if concurrencies is None:
        concurrencies = [] if parsed.rate else CONCURRENCIES
    levels = [Level(CLOSED, value) for value in concurrencies]
    levels += [Level(OPEN, value) for value in parsed.rate or ()]
    return list(dict.fromkeys(levels))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks serve", __doc__)
    add_target(parser)
    add_audio(parser)
    group = parser.add_argument_group("levels")
    group.add_argument(
        "--concurrency",
        type=positive(int),
        nargs="+",
        metavar="N",
        help=f"requests in flight ({' '.join(map(str, CONCURRENCIES))}, none with --rate)",
    )
    group.add_argument(
        "--rate",
        type=positive(float),
        nargs="+",
        metavar="R",
        help="requests a second, as they come",
    )
    group.add_argument("--repeats", type=positive(int), default=3, help="rounds (%(default)s)")
    add_load(parser)
    add_output(parser, "table (.md), plot (.png) and page (.html)")
    add_resume(parser)
    return parser
