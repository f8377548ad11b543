"""A bar chart of peers: seconds of audio in a second, quartiles as lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.decoders.packages import optional
from benchmarks.peers.contest import Pace
from benchmarks.peers.entries import LOOPS, OURS

# Of Okabe and Ito, whom all eyes can tell apart.
_OURS: Final = "#0072B2"
_LOOP: Final = "#56B4E9"
_OTHER: Final = "#E69F00"


def plot(paces: Sequence[Pace], title: str, path: Path) -> None:
    """Write the chart, in the tables' order; raises :class:`ProviderError` without matplotlib."""
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(10, 1.2 + 0.42 * len(paces)), layout="constrained"
    )
    axes = chart.subplots()
    speeds = [pace.speed for pace in paces]
    bars = axes.barh(
        range(len(paces)),
        [speed.rtfx for speed in speeds],
        xerr=(
            [speed.rtfx - speed.rtfx_low for speed in speeds],
            [speed.rtfx_high - speed.rtfx for speed in speeds],
        ),
        color=[_color(pace.task) for pace in paces],
    )
    axes.bar_label(bars, [f"{speed.rtfx:,.1f}" for speed in speeds], padding=6)
    axes.set_yticks(range(len(paces)), [pace.task for pace in paces])
    axes.invert_yaxis()
    axes.set_xlabel("seconds of audio transcribed in a second: median, quartiles")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")
    chart.savefig(path, dpi=150, format="png")


def _color(task: str) -> str:
    if task.startswith(OURS):
        return _OURS
    return _LOOP if task.startswith(LOOPS) else _OTHER
