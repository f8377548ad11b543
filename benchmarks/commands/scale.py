"""``scale``: how cost grows with audio length and requests in flight.

Single requests of 1 s up to the model's longest, with least squares of a line and of a line with a
quadratic part; and throughput from 1 to 256 requests in flight. What is finished is in ``--output``
at once, and ``--resume`` goes on with it; table and plot are written beside it.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
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
from benchmarks.load.loop import LoadOptions, Target
from benchmarks.load.scaling import against_concurrency, against_length
from benchmarks.load.sending import CLOSED, Level
from benchmarks.load.sweep import Points, Run, Turn, sweep, turns
from benchmarks.load.target import served_as
from benchmarks.plots import plot_scale
from benchmarks.report import PACKAGES, Cells, describe, markdown, write_text
from benchmarks.tables import rich_table, spread_cells
from client.commands.parser import CommandParser, positive
from client.commands.streams import messages, tables

CONCURRENCIES: Final = (1, 4, 16, 64, 256)
PARTS: Final = ("length", "concurrency")
Part = tuple[str, Cells, str]
"""Title, table and verdict."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    check_resume(parser, parsed)
    options = load_options(parser, parsed)
    with open_target(parsed) as target:
        settings = {
            **settings_of(parsed, options),
            "most_seconds": parsed.most_seconds,
            "rounds": parsed.rounds,
            "served": served_as(target),
        }
        circumstances = describe(PACKAGES, ["scale", *arguments])
        points = Points(parsed.output, {**circumstances, "settings": settings})
        if parsed.resume:
            points.resume("length")
        try:
            _measure(points, parsed, options, target)
        finally:
            _report(points, parsed)
    return 0


def _measure(
    points: Points, parsed: argparse.Namespace, options: LoadOptions, target: Target
) -> None:
    """What is asked for of the server and not among the ``points``."""
    if "length" in parsed.parts and "length" not in points.document:
        points.keep("length", against_length(target, parsed.most_seconds, parsed.rounds))
    if "concurrency" in parsed.parts:
        run = Run(target, utterances_of(parsed, target), options)
        plan = list(turns([Level(CLOSED, n) for n in parsed.concurrency], parsed.repeats))
        sweep(run, plan, points, _tell)


def _report(points: Points, parsed: argparse.Namespace) -> None:
    """Print and write what there is, also when it was cut short."""
    found, output = points.document, parsed.output
    if found["points"]:
        points.keep("concurrency", against_concurrency(found["points"]))
    parts: dict[str, Callable[[Any], Part]] = {"length": _length, "concurrency": _concurrency}
    made = [table(found[name]) for name, table in parts.items() if name in found]
    if not made:
        return
    console = tables(sys.stdout)
    for title, cells, verdict in made:
        console.print(rich_table(cells, f"{parsed.model}: {title}"))
        console.print(verdict)
    if output is not None:
        text = "\n".join(f"{verdict}\n\n{markdown(cells)}" for _, cells, verdict in made)
        write_text(output.with_suffix(".md"), text)
        plot_scale(found, parsed.model, output.with_suffix(".png"))


def _length(found: Mapping[str, Any]) -> Part:
    line, curve = found["fit"]["linear"], found["fit"]["quadratic"]
    headings = "audio s,median ms,quartiles,ms for 1 s,line is off by,curve is off by".split(",")
    rows = [
        (
            f"{length_s:g}",
            *spread_cells(**cost),
            f"{cost['median'] / length_s:,.2f}",
            f"{off_line:+.0%}",
            f"{off_curve:+.0%}",
        )
        for length_s, cost, off_line, off_curve in zip(
            found["lengths_s"], found["cost_ms"], line["residuals"], curve["residuals"], strict=True
        )
    ]
    verdict = (
        f"The cost {found['fit']['verdict']}. Line: {line['fixed_ms']:.1f} ms + "
        f"{line['linear_ms_per_s']:.2f} ms for each second; curve: {curve['fixed_ms']:.1f} ms + "
        f"{curve['linear_ms_per_s']:.2f} t + {curve['quadratic_ms_per_s2']:.4f} t²."
    )
    return "one request at a time", Cells(headings, rows), verdict


def _concurrency(found: Mapping[str, Any]) -> Part:
    columns = (found[name] for name in ("concurrency", "rtfx", "p95_ms", "failed"))
    rows = [
        (str(level), *spread_cells(**rtfx), f"{p95_ms['median']:,.0f}", str(failed))
        for level, rtfx, p95_ms, failed in zip(*columns, strict=True)
    ]
    cells = Cells(("in flight", "RTFx", "quartiles", "p95 ms", "failed"), rows)
    return "requests in flight", cells, f"Requests in flight: {found['verdict']}."


def _tell(turn: Turn, figures: Mapping[str, Any]) -> None:
    messages.print(f"{turn.level.label}, round {turn.repeat + 1}: RTFx {figures['rtfx']:.1f}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks scale", __doc__)
    add_target(parser)
    add_audio(parser)
    add = parser.add_argument_group("what grows").add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (both)")
    add("--most-seconds", type=positive(float), default=3600.0, help="longest audio (the model's)")
    add("--rounds", type=positive(int), default=5, help="of lengths (%(default)s)")
    add("--concurrency", type=positive(int), nargs="+", default=CONCURRENCIES, metavar="N")
    add("--repeats", type=positive(int), default=3, help="rounds of concurrencies (%(default)s)")
    add_load(parser)
    add_output(parser, "table (.md) and plot (.png)")
    add_resume(parser)
    return parser
