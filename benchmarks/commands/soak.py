"""``soak``: constant load for minutes or hours, and what memory and throughput do meanwhile.

Memory of server and client is sampled each second. A line through what follows the first quarter
says whether it grows. The exit status is 1 when it does, when requests failed, or the server died:
what was measured until then is kept. ``--output`` is written each half minute.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from benchmarks.arguments import (
    add_audio,
    add_load,
    add_output,
    add_target,
    load_options,
    open_target,
    settings_of,
    utterances_of,
)
from benchmarks.load.sending import CLOSED, OPEN, Level
from benchmarks.load.soak import Growth, Soaked, soak
from benchmarks.load.sweep import Run
from benchmarks.plots import plot_memory
from benchmarks.report import PACKAGES, Cells, describe, write_json
from benchmarks.tables import rich_table
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages, tables


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    options = load_options(parser, parsed)
    level = Level(OPEN, parsed.rate) if parsed.rate else Level(CLOSED, parsed.concurrency)
    with open_target(parsed) as target:
        utterances = utterances_of(parsed, target)
        circumstances = {
            **describe(PACKAGES, ["soak", *arguments]),
            "settings": settings_of(parsed, options),
            "load": level.label,
            "audio": utterances.source,
        }

        def keep(found: Soaked) -> None:
            write_json(parsed.output, {**circumstances, **found.summary()})

        def tell(found: Soaked) -> None:
            keep(found)
            _tell(found)

        found = soak(Run(target, utterances, options), level, 60 * parsed.minutes, tell)
        keep(found)
    growth = found.growth()
    cells = _cells(growth)
    title = f"{level.label} for {parsed.minutes:g} minutes"
    tables(sys.stdout).print(rich_table(cells, title))
    if found.failed:
        messages.print(f"{found.failed} requests failed")
    if found.ended:
        messages.print(f"error: it ended early: {found.ended}")
    if parsed.output is not None:
        _plot(found, growth, parsed)
    grows = any(each.verdict == "grows" for each in growth.values())
    return int(grows or found.failed > 0 or bool(found.ended))


def _tell(found: Soaked) -> None:
    figures = found.pieces[-1]
    server = figures["server"]
    memory = f", server {server['rss_last_mb']:,.0f} MB" if server else ""
    messages.print(
        f"{found.at_s[-1] / 60:.1f} min: RTFx {figures['rtfx']:.1f}, {figures['failed']} failed, "
        f"client {figures['client']['rss_last_mb']:,.0f} MB{memory}"
    )


def _cells(growth: Mapping[str, Growth]) -> Cells:
    headings = ("memory of", "settled MB", "last MB", "most MB", "MB an hour", "verdict")
    rows = [
        (
            side,
            *(f"{value:,.0f}" for value in (each.first_mb, each.last_mb, each.most_mb)),
            f"{each.mb_per_hour:+,.0f} ± {each.error_mb_per_hour:,.0f}",
            each.verdict,
        )
        for side, each in growth.items()
    ]
    return Cells(headings, rows)


def _plot(found: Soaked, growth: Mapping[str, Growth], parsed: argparse.Namespace) -> None:
    labels = {
        side: f"{side}: {each.mb_per_hour:+.0f} ± {each.error_mb_per_hour:.0f} MB an hour"
        for side, each in growth.items()
    }
    lines = {labels[side]: (side, memory) for side, memory in found.memory_mb.items()}
    title = f"{parsed.model} under constant load"
    plot_memory(found.at_s, lines, title, parsed.output.with_suffix(".png"))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks soak", __doc__)
    add_target(parser)
    add_audio(parser)
    group = parser.add_argument_group("level")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--concurrency", type=positive(int), default=16, help="requests in flight (%(default)s)"
    )
    one.add_argument("--rate", type=positive(float), help="requests a second, as they come")
    group.add_argument("--minutes", type=positive(float), default=30.0, help="%(default)s")
    add_load(parser, seconds=None)
    add_output(parser, "plot (.png)")
    return parser
