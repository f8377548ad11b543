"""The plot of a sweep: throughput against latency, and where a request's time goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.decoders.packages import optional
from benchmarks.load.arrivals import CLOSED, OPEN
from benchmarks.load.colors import LIGHT
from benchmarks.load.figures import STAGES
from benchmarks.load.summary import Summary

QUANTILES = {"p50": "--", "p95": "-"}


def plot(summaries: Sequence[Summary], model: str, path: Path) -> None:
    """Write the chart as PNG; raises :class:`ProviderError` without matplotlib."""
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(12, 4.6), layout="constrained"
    )
    left, right = chart.subplots(1, 2)
    _trade(left, [each for each in summaries if each.median["latency_ms"]])
    _stages(right, [each for each in summaries if each.median["stages_ms"]])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    chart.suptitle(f"{model} under load", x=0.01, ha="left")
    chart.savefig(path, dpi=150, format="png")


def _trade(axes: Any, summaries: Sequence[Summary]) -> None:
    for kind, color in ((CLOSED, LIGHT["encoder"]), (OPEN, LIGHT["decoding"])):
        several = [each for each in summaries if each.level.kind == kind]
        for quantile, style in QUANTILES.items() if several else ():
            axes.errorbar(
                [each.median["rtfx"] for each in several],
                [each.median["latency_ms"][quantile] for each in several],
                xerr=_spread(several, "rtfx") if quantile == "p95" else None,
                fmt=f"o{style}",
                color=color,
                label=f"{kind} loop, {quantile}",
            )
        for each in several:
            axes.annotate(
                f"{each.level.value:g}",
                (each.median["rtfx"], each.median["latency_ms"]["p95"]),
                textcoords="offset points",
                xytext=(0, 7),
                ha="center",
            )
    axes.set_yscale("log")
    axes.set_xlabel("RTFx: seconds of audio in a second")
    axes.set_ylabel("latency in ms")
    axes.set_title("Throughput against latency; load at the points", loc="left", fontsize=10)
    axes.legend(frameon=False)


def _spread(summaries: Sequence[Summary], name: str) -> list[list[float]]:
    below = [each.median[name] - each.low[name] for each in summaries]
    above = [each.high[name] - each.median[name] for each in summaries]
    return [below, above]


def _stages(axes: Any, summaries: Sequence[Summary]) -> None:
    labels = [each.level.label for each in summaries]
    totals = [sum(each.median["stages_ms"].values()) or 1.0 for each in summaries]
    starts = [0.0] * len(summaries)
    for stage in STAGES:
        shares = [
            100 * each.median["stages_ms"][stage] / total
            for each, total in zip(summaries, totals, strict=True)
        ]
        axes.barh(labels, shares, left=starts, color=LIGHT[stage], label=stage)
        starts = [start + share for start, share in zip(starts, shares, strict=True)]
    for row, total in enumerate(totals):
        axes.annotate(f" {total:,.0f} ms", (100, row), va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    axes.set_xlabel("% of a request's time")
    axes.set_title("Where a request's time goes", loc="left", fontsize=10)
    axes.legend(ncols=4, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13))
