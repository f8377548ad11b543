"""Small charts as SVG. Lengths are percentages where text need not scale with the drawing."""

from collections.abc import Sequence
from html import escape
from typing import Final

from ..metrics import ErrorCounts
from ..result import Score
from .statistics import DurationBin
from .wording import percent

_WIDTH, _HEIGHT = 340, 194
_LEFT, _TOP, _BOTTOM = 34, 8, 40
_GAP: Final = 0.22
"""Share of a bin's width that stays empty."""
COLORS: Final = 8
"""Systems that have colours of their own, ``s0`` to ``s7`` in the style sheet."""


def color(system: int) -> str:
    """The class of a system's colour."""
    return f"s{system % COLORS}"


def letter(system: int) -> str:
    """What a system is called where its name does not fit."""
    return chr(ord("A") + system) if system < 26 else str(system + 1)


def interval(score: Score, system: int, baseline: float | None, longest: float) -> str:
    """A bar for the rate, whiskers for its interval, and a mark at the baseline's rate, if any."""

    def x(rate: float) -> str:
        return f"{98 * rate / longest if longest else 0:.2f}%"

    low, high = x(score.wer_interval.low), x(score.wer_interval.high)
    label = (
        f"{percent(score.words.rate)}, 95 % interval {percent(score.wer_interval.low)} to "
        f"{percent(score.wer_interval.high)}"
    )
    at = "" if baseline is None else x(baseline)
    mark = at and f'<line class="mark" x1="{at}" x2="{at}" y1="0" y2="26"/>'
    return (
        f'<svg class="interval {color(system)}" role="img" aria-label="{label}">'
        f'<rect class="fill" y="7" height="12" width="{x(score.words.rate)}" rx="2"/>'
        f'<line class="whisker" x1="{low}" x2="{high}" y1="13" y2="13"/>'
        f'<line class="whisker" x1="{low}" x2="{low}" y1="8" y2="18"/>'
        f'<line class="whisker" x1="{high}" x2="{high}" y1="8" y2="18"/>'
        f"{mark}</svg>"
    )


def composition(counts: ErrorCounts, most: int) -> str:
    """Substitutions, deletions and insertions after one another."""
    parts = (
        ("substitution", counts.substitutions),
        ("deletion", counts.deletions),
        ("insertion", counts.insertions),
    )
    at, rectangles = 0.0, []
    for kind, number in parts:
        width = 100 * number / max(most, 1)
        rectangles.append(
            f'<rect class="{kind}" x="{at:.2f}%" width="{width:.2f}%" height="8">'
            f"<title>{number} {kind}s</title></rect>"
        )
        at += width
    return f'<svg class="composition" aria-hidden="true">{"".join(rectangles)}</svg>'


def by_duration(bins: Sequence[DurationBin], systems: Sequence[str]) -> str:
    """Word error rates of each system in each bin, of which there is at least one."""
    rates = [[errors / max(each.words, 1) for errors in each.errors] for each in bins]
    highest = _above(max((rate for each in rates for rate in each), default=0.0))
    drawn = [_grid(highest)]
    width = (_WIDTH - _LEFT) / max(len(bins), 1)
    for place, (each, of_systems) in enumerate(zip(bins, rates, strict=True)):
        left = _LEFT + place * width
        bar = width * (1 - _GAP) / max(len(systems), 1)
        for system, rate in enumerate(of_systems):
            top = _y(rate, highest)
            at = left + width * _GAP / 2 + system * bar
            drawn.append(
                f'<rect class="fill {color(system)}" x="{at:.1f}" y="{top:.1f}" '
                f'width="{max(bar - 1, 0.5):.1f}" height="{_HEIGHT - _BOTTOM - top:.1f}">'
                f"<title>{escape(systems[system])}: {percent(rate)}, "
                f"{each.errors[system]} of {each.words} words</title></rect>"
            )
        middle = left + width / 2
        drawn.append(
            f'<text x="{middle:.1f}" y="{_HEIGHT - 21}" text-anchor="middle">'
            f"{each.lengths}</text>"
            f'<text class="soft" x="{middle:.1f}" y="{_HEIGHT - 7}" text-anchor="middle">'
            f"{each.utterances:,}</text>"
        )
    for name, up in ((bins[0].unit, 21), ("n", 7)):
        drawn.append(
            f'<text class="soft" x="{_LEFT - 5}" y="{_HEIGHT - up}" text-anchor="end">{name}</text>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Word error rate by length of the utterance">{"".join(drawn)}</svg>'
    )


def _grid(highest: float) -> str:
    lines = []
    for rate in (0.0, highest / 2, highest):
        y = _y(rate, highest)
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft" x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">'
            f"{100 * rate:g}\N{NO-BREAK SPACE}%</text>"
        )
    return "".join(lines)


def _y(rate: float, highest: float) -> float:
    return _HEIGHT - _BOTTOM - rate / highest * (_HEIGHT - _BOTTOM - _TOP)


def _above(rate: float) -> float:
    """The next round rate, and its half is round too."""
    steps = (0.01, 0.02, 0.04, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
    return next((step for step in steps if rate <= step), float(-(-rate // 1)))
