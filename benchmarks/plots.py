"""Every chart that is written as PNG. Each raises ``ProviderError`` without matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.load.figures import STAGES
from benchmarks.load.sending import CLOSED, OPEN
from benchmarks.load.summary import Summary
from benchmarks.measurement import Speed
from benchmarks.report import optional

# After Okabe and Ito, whom all eyes can tell apart.
STAGE_COLORS: Final = {
    "queue": "#a7adb5",
    "preprocessor": "#56b4e9",
    "encoder": "#0072b2",
    "decoder": "#009e73",
    "other": "#cc79a7",
    "wire": "#e69f00",
    "decoding": "#d55e00",
}
OUR_COLOR, VARIANT_COLOR, OTHER_COLOR = "#0072b2", "#56b4e9", "#e69f00"
QUANTILES: Final = {"p50": "--", "p95": "-"}
Spread = Mapping[str, Any]
"""``median``, ``low`` and ``high``."""


def plot_bars(
    bars: Sequence[tuple[Speed, str, str]], title: str, what: str, path: Path, *, label_room: float
) -> None:
    """Write a bar of each speed with its label and colour, the first on top, quartiles as lines.

    ``what`` is written under the axis; ``label_room`` is the share of the width that labels need.
    """
    chart = _figure(10, 1.2 + 0.42 * len(bars))
    axes = chart.subplots()
    speeds = [speed for speed, _, _ in bars]
    drawn = axes.barh(
        range(len(bars)),
        [speed.rtfx for speed in speeds],
        xerr=(
            [speed.rtfx - speed.rtfx_low for speed in speeds],
            [speed.rtfx_high - speed.rtfx for speed in speeds],
        ),
        color=[color for _, _, color in bars],
    )
    axes.bar_label(drawn, [label for _, label, _ in bars], padding=6)
    axes.set_yticks(range(len(bars)), [speed.name for speed in speeds])
    axes.invert_yaxis()
    axes.set_xlabel(f"{what}: median, quartiles")
    axes.margins(x=label_room)
    axes.set_title(title, loc="left")
    _save(chart, path)


def plot_sweep(summaries: Sequence[Summary], model: str, path: Path) -> None:
    """Write throughput against latency, and where a request's time goes."""
    chart = _figure(6.2, 8.4)  # narrow, so that a phone can show it
    upper, lower = chart.subplots(2, 1)
    _trade(upper, [each for each in summaries if each.median["latency_ms"]])
    _stages(lower, [each for each in summaries if each.median["stages_ms"]])
    chart.suptitle(f"{model} under load", x=0.01, ha="left")
    _save(chart, path)


def plot_scale(found: Mapping[str, Any], model: str, path: Path) -> None:
    """Write a panel for each thing that grows."""
    panels = {"length": _length, "concurrency": _concurrency}
    shown = [name for name in panels if name in found]
    chart = _figure(5.2 * len(shown), 4.2)
    for axes, name in zip(chart.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        panels[name](axes, found[name])
        axes.set_ylim(bottom=0)
    chart.suptitle(f"{model}: what grows with what", x=0.01, ha="left")
    _save(chart, path)


def plot_memory(
    at_s: Sequence[float], lines: Mapping[str, tuple[str, Sequence[float]]], title: str, path: Path
) -> None:
    """Write memory in MB over time: a side, ``server`` or ``client``, and its values by label."""
    chart = _figure(9, 4.2)
    axes = chart.subplots()
    colors = {"server": OUR_COLOR, "client": OTHER_COLOR}
    for label, (side, values) in lines.items():
        axes.plot([each / 60 for each in at_s], values, color=colors[side], label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident memory in MB")
    axes.legend(frameon=False)
    axes.set_title(title, loc="left")
    _save(chart, path)


def _figure(width: float, height: float) -> Any:
    figure = optional("matplotlib.figure", "matplotlib").Figure
    return figure(figsize=(width, height), layout="constrained")


def _save(chart: Any, path: Path) -> None:
    for axes in chart.axes:
        axes.spines[["top", "right"]].set_visible(False)
    chart.savefig(path, dpi=150, format="png")


def _trade(axes: Any, summaries: Sequence[Summary]) -> None:
    for kind, color in ((CLOSED, OUR_COLOR), (OPEN, STAGE_COLORS["decoding"])):
        several = [each for each in summaries if each.level.kind == kind]
        rtfx = [each.spread("rtfx") for each in several]
        for quantile, style in QUANTILES.items() if several else ():
            axes.errorbar(
                [each["median"] for each in rtfx],
                [each.median["latency_ms"][quantile] for each in several],
                xerr=_errors(rtfx) if quantile == "p95" else None,
                fmt=f"o{style}",
                color=color,
                label=f"{kind} loop, {quantile}",
            )
        for each in several:
            at = each.median["rtfx"], each.median["latency_ms"]["p95"]
            beside = {"textcoords": "offset points", "xytext": (-8, 4), "ha": "right"}
            axes.annotate(f"{each.level.value:g}", at, **beside)
    axes.set_yscale("log")
    axes.set_xlabel("RTFx: seconds of audio in a second")
    axes.set_ylabel("latency in ms")
    axes.set_title("Throughput against latency; load at the points", loc="left", fontsize=10)
    axes.legend(frameon=False)


def _stages(axes: Any, summaries: Sequence[Summary]) -> None:
    labels = [each.level.label for each in summaries]
    totals = [sum(each.median["stages_ms"].values()) or 1.0 for each in summaries]
    starts = [0.0] * len(summaries)
    for stage in STAGES:
        shares = [
            100 * each.median["stages_ms"][stage] / total
            for each, total in zip(summaries, totals, strict=True)
        ]
        axes.barh(labels, shares, left=starts, color=STAGE_COLORS[stage], label=stage)
        starts = [start + share for start, share in zip(starts, shares, strict=True)]
    for row, total in enumerate(totals):
        axes.annotate(f" {total:,.0f} ms", (100, row), va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    axes.set_xlabel("% of a request's time")
    axes.set_title("Where a request's time goes", loc="left", fontsize=10)
    axes.legend(ncols=4, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _length(axes: Any, found: Mapping[str, Any]) -> None:
    lengths_s = found["lengths_s"]
    for name, style in (("linear", "--"), ("quadratic", "-")):
        fit = found["fit"][name]
        steps = [lengths_s[-1] * step / 100 for step in range(101)]
        values = [
            fit["fixed_ms"] + t * (fit["linear_ms_per_s"] + t * fit["quadratic_ms_per_s2"])
            for t in steps
        ]
        axes.plot(steps, values, style, color=STAGE_COLORS["queue"], label=f"{name} fit")
    _points(axes, lengths_s, found["cost_ms"])
    axes.set_xlabel("seconds of audio in the request")
    axes.set_ylabel("ms until the answer, one at a time")
    axes.legend(frameon=False)


def _concurrency(axes: Any, found: Mapping[str, Any]) -> None:
    _points(axes, found["concurrency"], found["rtfx"], "-")
    axes.set_xscale("log", base=2)
    axes.set_xticks(found["concurrency"], [str(level) for level in found["concurrency"]])
    axes.set_xlabel("requests in flight")
    axes.set_ylabel("RTFx: seconds of audio in a second")


def _points(axes: Any, x: Sequence[float], spreads: Sequence[Spread], line: str = "") -> None:
    medians = [each["median"] for each in spreads]
    axes.errorbar(x, medians, yerr=_errors(spreads), fmt=f"o{line}", color=OUR_COLOR, capsize=3)


def _errors(spreads: Sequence[Spread]) -> tuple[list[float], list[float]]:
    """How far the quartiles are from the median, below and above."""
    below = [each["median"] - each["low"] for each in spreads]
    return below, [each["high"] - each["median"] for each in spreads]
