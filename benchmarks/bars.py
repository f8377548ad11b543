"""A bar chart of speeds: seconds of audio in a second, quartiles as lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.decoders.packages import optional
from benchmarks.measurement import Speed

# Of Okabe and Ito, whom all eyes can tell apart.
OURS: Final = "#0072B2"
VARIANT: Final = "#56B4E9"
OTHER: Final = "#E69F00"


@dataclass(frozen=True)
class Bar:
    """One bar; ``label`` is written beside it."""

    name: str
    speed: Speed
    label: str
    color: str


def draw_bars(bars: Sequence[Bar], title: str, what: str, path: Path, *, label_room: float) -> None:
    """Write the chart, the first bar on top, ``what`` under its axis.

    ``label_room`` is the share of the width that labels need. Raises :class:`ProviderError` without
    matplotlib.
    """
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(10, 1.2 + 0.42 * len(bars)), layout="constrained"
    )
    axes = chart.subplots()
    speeds = [bar.speed for bar in bars]
    drawn = axes.barh(
        range(len(bars)),
        [speed.rtfx for speed in speeds],
        xerr=(
            [speed.rtfx - speed.rtfx_low for speed in speeds],
            [speed.rtfx_high - speed.rtfx for speed in speeds],
        ),
        color=[bar.color for bar in bars],
    )
    axes.bar_label(drawn, [bar.label for bar in bars], padding=6)
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlabel(f"{what}: median, quartiles")
    axes.margins(x=label_room)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")
    chart.savefig(path, dpi=150, format="png")
