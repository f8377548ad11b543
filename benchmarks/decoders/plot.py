"""A bar chart of decoders: speed a core, with the word error rate written beside each bar."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import bars
from benchmarks.decoders.comparison import Figures
from benchmarks.decoders.report import OURS
from benchmarks.decoders.steps import STEPS


def plot(figures: Sequence[Figures], title: str, path: Path) -> None:
    """Write the chart, first decoder on top; raises :class:`ProviderError` without matplotlib."""
    drawn = [
        bars.Bar(
            each.name, each.speed, f"{each.speed.rtfx:,.0f}, WER {each.wer:.2%}", _color(each.name)
        )
        for each in figures
    ]
    what = "seconds of audio decoded in a second on one core"
    bars.draw_bars(drawn, title, what, path, label_room=0.28)


def _color(name: str) -> str:
    if name in STEPS:
        return bars.VARIANT
    return bars.OURS if name.startswith(OURS) else bars.OTHER
