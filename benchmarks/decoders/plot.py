"""A bar chart of decoders: speed a core, with the word error rate written beside each bar."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.decoders.comparison import Figures
from benchmarks.decoders.packages import optional
from benchmarks.decoders.report import OURS
from benchmarks.decoders.steps import STEPS

# Of Okabe and Ito, whom all eyes can tell apart.
_OURS: Final = "#0072B2"
_VARIANT: Final = "#56B4E9"
_OTHER: Final = "#E69F00"


def plot(figures: Sequence[Figures], title: str, path: Path) -> None:
    """Write the chart, first decoder on top; raises :class:`ProviderError` without matplotlib."""
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(10, 1.2 + 0.42 * len(figures)), layout="constrained"
    )
    axes = chart.subplots()
    speeds = [each.speed for each in figures]
    bars = axes.barh(
        range(len(figures)),
        [speed.rtfx for speed in speeds],
        xerr=(
            [speed.rtfx - speed.rtfx_low for speed in speeds],
            [speed.rtfx_high - speed.rtfx for speed in speeds],
        ),
        color=[_color(each.name) for each in figures],
    )
    axes.bar_label(
        bars, [f"{each.speed.rtfx:,.0f}, WER {each.wer:.2%}" for each in figures], padding=6
    )
    axes.set_yticks(range(len(figures)), [each.name for each in figures])
    axes.invert_yaxis()
    axes.set_xlabel("seconds of audio decoded in a second on one core: median, quartiles")
    axes.margins(x=0.28)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")
    chart.savefig(path, dpi=150, format="png")


def _color(name: str) -> str:
    if name in STEPS:
        return _VARIANT
    return _OURS if name.startswith(OURS) else _OTHER
