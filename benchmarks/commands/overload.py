"""``overload``: several times what a server can do, then less: goodput, refusals, recovery.

First a closed loop finds the capacity, then requests come at ``--times`` that rate, whatever the
server does, then at half of it. Every request has a deadline, and only answers within it count.
The exit status is 1 unless the client could send all that, goodput stays at 0.9 of the capacity,
refusals come within a second of the queue's bound, and all is well again within five seconds.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from benchmarks.arguments import (
    add_audio,
    add_output,
    add_target,
    open_target,
    utterances_of,
)
from benchmarks.load.overload import (
    LEAST_GOODPUT,
    LEAST_OFFERED,
    MOST_RECOVERY_S,
    MOST_REFUSAL_S,
    Figures,
    Plan,
    apply_load,
    figures_of,
)
from benchmarks.load.target import served_as
from benchmarks.report import PACKAGES, Cells, write_report
from benchmarks.tables import rich_table
from client.commands.parser import CommandParser, positive, seconds
from client.commands.streams import tables

_OPTIONS: dict[str, tuple[Callable[[str], float], str]] = {
    "in_flight": (positive(int), "requests in flight while the capacity is found"),
    "capacity_s": (positive(float), "seconds in which the capacity is found"),
    "warmup_s": (positive(float), "seconds before that, not counted"),
    "times": (positive(float), "the overload, in capacities"),
    "overload_s": (positive(float), "its seconds"),
    "calm_share": (positive(float), "the load after it, in capacities"),
    "calm_s": (positive(float), "its seconds"),
    "timeout_s": (positive(float), "deadline of a request, in seconds"),
    "calm_latency_s": (positive(float), "seconds that an answer may take when all is well"),
    "queue_bound_s": (
        seconds,
        "seconds that queues hold what they refuse in the end",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when the server did not bear it."""
    parsed = _parser().parse_args(arguments)
    plan = Plan(**{each.name: getattr(parsed, each.name) for each in fields(Plan)})
    with open_target(parsed) as target:
        utterances = utterances_of(parsed, target)
        served = served_as(target)
        figures = figures_of(apply_load(target, utterances, plan), plan)
    title = f"{parsed.model} at {plan.times:g} times its capacity for {plan.overload_s:g} s"
    tables(sys.stdout).print(rich_table(_cells(figures, plan), title))
    found = {
        "plan": asdict(plan),
        "audio": utterances.source,
        "served": served,
        "overload": asdict(figures),
    }
    write_report(parsed.output, PACKAGES, ["overload", *arguments], found)
    return 0 if figures.holds else 1


def _cells(figures: Figures, plan: Plan) -> Cells:
    refused, answered = figures.refused_ms, figures.answered_ms
    refusal_ms = 1000 * (MOST_REFUSAL_S + plan.queue_bound_s)
    rows = [
        ("capacity, requests/s", f"{figures.capacity_per_s:.1f}", ""),
        ("offered, requests/s", f"{figures.offered_per_s:.1f}", ""),
        ("offered / planned", f"{figures.offered_share:.2f}", f">= {LEAST_OFFERED:g}"),
        ("goodput, requests/s", f"{figures.goodput_per_s:.1f}", ""),
        ("goodput / capacity", f"{figures.goodput_share:.2f}", f">= {LEAST_GOODPUT:g}"),
        ("answered within (p95)", f"{answered.p95:,.0f} ms" if answered else "-", ""),
        ("refused", f"{figures.refused:,}", ""),
        (
            "refused within (p99)",
            f"{refused.p99:,.0f} ms" if refused else "-",
            f"<= {refusal_ms:,.0f} ms",
        ),
        ("out of time", f"{figures.expired:,}", ""),
        ("recovered after", f"{figures.recovery_s:.1f} s", f"<= {MOST_RECOVERY_S:g} s"),
    ]
    return Cells(("", "seen", "wanted"), rows)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks overload", __doc__)
    add_target(parser)
    add_audio(parser)
    group = parser.add_argument_group("load")
    for name, (kind, text) in _OPTIONS.items():
        group.add_argument(
            f"--{name.removesuffix('_s').replace('_', '-')}",
            dest=name,
            type=kind,
            default=getattr(Plan, name),
            metavar="N",
            help=f"{text} (%(default)g)",
        )
    add_output(parser, "nothing else")
    return parser
