"""``soak``: constant load for minutes or hours, and what memory and throughput do meanwhile.

Memory of server and client is sampled each second. A line through what follows the first quarter
says whether it grows. The exit status is 1 when it does, when requests failed, or the server died:
what was measured until then is kept. ``--output`` is written each minute.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.decoders.packages import optional
from benchmarks.environment import describe
from benchmarks.load.arguments import (
    add_audio,
    add_load,
    add_output,
    add_target,
    load_options,
    open_target,
    settings_of,
    utterances_of,
)
from benchmarks.load.arrivals import CLOSED, OPEN, Level
from benchmarks.load.colors import LIGHT
from benchmarks.load.packages import PACKAGES
from benchmarks.load.soak import Growth, Listener, soak
from benchmarks.load.sweep import Run
from benchmarks.numbers import above
from client.commands.streams import messages, open_output, tables


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    options = load_options(parser, parsed)
    level = Level(OPEN, parsed.rate) if parsed.rate else Level(CLOSED, parsed.concurrency)
    with open_target(parsed) as target:
        utterances = utterances_of(parsed, target)
        circumstances = {
            **describe(PACKAGES, ["soak", *arguments], "benchmarks"),
            "settings": settings_of(parsed, options),
            "load": level.label,
            "audio": utterances.source,
        }
        listener = Listener(_tell, partial(_write, parsed.output, circumstances))
        found = soak(Run(target, utterances, options), level, 60 * parsed.minutes, listener)
    growth: Mapping[str, Growth] = found["growth"]
    failed = sum(piece["figures"]["failed"] for piece in found["pieces"])
    tables(sys.stdout).print(_table(growth, f"{level.label} for {parsed.minutes:g} minutes"))
    if failed:
        messages.print(f"{failed} requests failed")
    if found["ended"]:
        messages.print(f"error: it ended early: {found['ended']}")
    if parsed.output is not None:
        verdicts = {
            side: {**asdict(each), "verdict": each.verdict} for side, each in growth.items()
        }
        _write(parsed.output, circumstances, {**found, "growth": verdicts})
        _plot(found, parsed)
    grows = any(each.verdict == "grows" for each in growth.values())
    return int(grows or failed > 0 or bool(found["ended"]))


def _write(path: Path | None, circumstances: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Write the file anew, whole or not at all, if there is one."""
    if path is not None:
        with open_output(path) as stream:
            stream.write(json.dumps({**circumstances, **found}, indent=1) + "\n")


def _tell(piece: Mapping[str, Any]) -> None:
    figures = piece["figures"]
    server = figures["server"]
    memory = f", server {server['rss_last_mb']:,.0f} MB" if server else ""
    messages.print(
        f"{piece['at_s'] / 60:.1f} min: RTFx {figures['rtfx']:.1f}, {figures['failed']} failed, "
        f"client {figures['client']['rss_last_mb']:,.0f} MB{memory}"
    )


def _table(growth: Mapping[str, Growth], title: str) -> Table:
    table = Table(title=title)
    table.add_column("memory of")
    for heading in ("settled MB", "last MB", "most MB", "MB an hour"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for side, each in growth.items():
        table.add_row(
            side,
            f"{each.first_mb:,.0f}",
            f"{each.last_mb:,.0f}",
            f"{each.most_mb:,.0f}",
            f"{each.mb_per_hour:+,.0f} ± {each.error_mb_per_hour:,.0f}",
            each.verdict,
        )
    return table


def _plot(found: Mapping[str, Any], parsed: argparse.Namespace) -> None:
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(9, 4.2), layout="constrained"
    )
    axes = chart.subplots()
    minutes = [at_s / 60 for at_s in found["at_s"]]
    colors = {"server": LIGHT["encoder"], "client": LIGHT["wire"]}
    for side, memory_mb in found["memory_mb"].items():
        each = found["growth"][side]
        label = f"{side}: {each.mb_per_hour:+.0f} ± {each.error_mb_per_hour:.0f} MB an hour"
        axes.plot(minutes, memory_mb, color=colors[side], label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident memory in MB")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(f"{parsed.model} under constant load", loc="left")
    chart.savefig(parsed.output.with_suffix(".png"), dpi=150, format="png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    add_target(parser)
    add_audio(parser)
    group = parser.add_argument_group("level")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--concurrency", type=above(int), default=16, help="requests in flight (%(default)s)"
    )
    one.add_argument("--rate", type=above(float), help="requests a second, as they come")
    group.add_argument("--minutes", type=above(float), default=30.0, help="%(default)s")
    add_load(parser, seconds=None)
    add_output(parser, "plot (.png)")
    return parser
