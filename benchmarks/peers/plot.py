"""A bar chart of peers: seconds of audio in a second, quartiles as lines."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import bars
from benchmarks.peers.contest import Pace
from benchmarks.peers.entries import LOOPS, OURS


def plot(paces: Sequence[Pace], title: str, path: Path) -> None:
    """Write the chart, in the tables' order; raises :class:`ProviderError` without matplotlib."""
    drawn = [
        bars.Bar(pace.task, pace.speed, f"{pace.speed.rtfx:,.1f}", _color(pace.task))
        for pace in paces
    ]
    what = "seconds of audio transcribed in a second"
    bars.draw_bars(drawn, title, what, path, label_room=0.12)


def _color(task: str) -> str:
    if task.startswith(OURS):
        return bars.OURS
    return bars.VARIANT if task.startswith(LOOPS) else bars.OTHER
