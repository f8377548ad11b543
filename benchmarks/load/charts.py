"""The charts of the page: SVG where there are axes, and boxes that wrap on a phone elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

from benchmarks.load.figures import STAGES
from benchmarks.load.sending import CLOSED, OPEN
from benchmarks.load.summary import Summary

_WIDTH, _HEIGHT = 460, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 18, 18, 46
_BINS: Final = 24
_NAME_WIDTH, _NAME_HEIGHT = 24, 14
STAGE_WORDS: Final = {
    "queue": "waiting in queues",
    "preprocessor": "preprocessor",
    "encoder": "encoder",
    "decoder": "CTC head",
    "other": "between steps",
    "wire": "wire and client threads",
    "decoding": "decoding in the client",
}


@dataclass(frozen=True)
class _Frame:
    """Where values lie: ``x`` linear, ``y`` logarithmic or linear, in the SVG's units."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    log: bool

    def x(self, value: float) -> float:
        span = self.x_ticks[-1] - self.x_ticks[0]
        share = (value - self.x_ticks[0]) / span
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        if self.log:
            low, high, value = (float(np.log10(each)) for each in (low, high, value))
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def trade_chart(summaries: Sequence[Summary]) -> str:
    """Throughput against latency: a line for each kind of load, p50 and p95."""
    shown = [each for each in summaries if each.median["latency_ms"]]
    latencies = [each.median["latency_ms"][q] for each in shown for q in ("p50", "p95")]
    frame = _Frame(
        _linear_ticks(max(max(each.median["rtfx"], each.high["rtfx"]) for each in shown)),
        _log_ticks(min(latencies), max(latencies) * 1.15),
        log=True,
    )
    parts = [_grid(frame, "RTFx: seconds of audio in a second", "latency, ms")]
    for kind in (CLOSED, OPEN):
        several = [each for each in shown if each.level.kind == kind]
        if several:
            parts.append(_spreads(frame, several))
            parts += [_series(frame, several, "p50"), _series(frame, several, "p95")]
            parts.append(_names(frame, several))
    return _svg("".join(parts), "Throughput against latency")


def trade_legend(summaries: Sequence[Summary]) -> str:
    """What lines and colours of :func:`trade_chart` mean."""
    words = {CLOSED: "requests kept in flight", OPEN: "requests a second, as they come"}
    kinds = [kind for kind in words if any(each.level.kind == kind for each in summaries)]
    items = [f'<li><i class="dot {kind}"></i>{words[kind]}</li>' for kind in kinds]
    items += [
        '<li><i class="line"></i>p95, with the quartiles of its throughput</li>',
        '<li><i class="line dashed"></i>median</li>',
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def stage_bars(summaries: Sequence[Summary]) -> str:
    """A bar of shares for each load, with its whole in milliseconds."""
    rows = []
    for summary in summaries:
        stages = summary.median["stages_ms"]
        total = sum(stages.values()) if stages else 0.0
        if not total:
            continue
        boxes = "".join(
            f'<b class="s-{stage}" style="width:{100 * stages[stage] / total:.3f}%" '
            f'title="{STAGE_WORDS[stage]}: {stages[stage]:,.1f} ms"></b>'
            for stage in STAGES
        )
        rows.append(
            f'<div class="row"><span>{escape(summary.level.label)}</span>'
            f'<div class="bar">{boxes}</div><span class="number">{total:,.0f} ms</span></div>'
        )
    legend = "".join(
        f'<li><i class="dot s-{stage}"></i>{words}</li>' for stage, words in STAGE_WORDS.items()
    )
    return f'<div class="bars">{"".join(rows)}</div><ul class="legend">{legend}</ul>'


def histogram(lengths_s: Sequence[float]) -> str:
    """How many utterances have which length."""
    ticks = _linear_ticks(max(lengths_s), 6)
    counts, edges = np.histogram(lengths_s, bins=_BINS, range=(0.0, ticks[-1]))
    frame = _Frame(ticks, _linear_ticks(float(counts.max()), 4), log=False)
    bars = "".join(
        f'<rect class="fill" x="{frame.x(low) + 1:.1f}" y="{frame.y(count):.1f}" '
        f'width="{frame.x(high) - frame.x(low) - 2:.1f}" '
        f'height="{frame.y(0) - frame.y(count):.1f}" rx="1"/>'
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    )
    middle = float(np.median(lengths_s))
    mark = (
        f'<line class="mark" x1="{frame.x(middle):.1f}" x2="{frame.x(middle):.1f}" '
        f'y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text x="{frame.x(middle) + 5:.1f}" y="{_TOP + 10}">median {middle:.1f} s</text>'
    )
    grid = _grid(frame, "seconds of audio in an utterance", "utterances")
    return _svg(grid + bars + mark, "Lengths of the utterances")


def _series(frame: _Frame, summaries: Sequence[Summary], quantile: str) -> str:
    kind = summaries[0].level.kind
    x = [each.median["rtfx"] for each in summaries]
    y = [each.median["latency_ms"][quantile] for each in summaries]
    dashed = " dashed" if quantile == "p50" else ""
    dots = "".join(
        f'<circle class="{kind}" cx="{frame.x(each.median["rtfx"]):.1f}" cy="{frame.y(at):.1f}" '
        f'r="4"><title>{escape(each.level.label)}: RTFx {each.median["rtfx"]:.1f}, {quantile} '
        f"{at:,.0f} ms</title></circle>"
        for each, at in zip(summaries, y, strict=True)
    )
    return f'<polyline class="{kind}{dashed}" points="{_points(frame, x, y)}"/>{dots}'


def _spreads(frame: _Frame, summaries: Sequence[Summary]) -> str:
    """Quartiles of the throughput, across the p95 points."""
    return "".join(
        f'<line class="{each.level.kind} thin" x1="{frame.x(each.low["rtfx"]):.1f}" '
        f'x2="{frame.x(each.high["rtfx"]):.1f}" y1="{frame.y(at):.1f}" y2="{frame.y(at):.1f}"/>'
        for each in summaries
        for at in [each.median["latency_ms"]["p95"]]
    )


def _names(frame: _Frame, summaries: Sequence[Summary]) -> str:
    """The load at each p95 point, above it, or beside it where the last one's is in the way."""
    texts = []
    last = (-math.inf, -math.inf)
    for each in summaries:
        x, y = frame.x(each.median["rtfx"]), frame.y(each.median["latency_ms"]["p95"]) - 9
        crowded = abs(x - last[0]) < _NAME_WIDTH and abs(y - last[1]) < _NAME_HEIGHT
        place = f'text-anchor="middle" x="{x:.1f}" y="{y:.1f}"'
        if crowded:
            place = f'text-anchor="start" x="{x + 9:.1f}" y="{y + 13:.1f}"'
        texts.append(f'<text class="name" {place}>{each.level.value:g}</text>')
        last = (x, y)
    return "".join(texts)


def _points(frame: _Frame, x: Sequence[float], y: Sequence[float]) -> str:
    return " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in zip(x, y, strict=True))


def _grid(frame: _Frame, x_name: str, y_name: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{frame.y(tick):.1f}" '
        f'y2="{frame.y(tick):.1f}"/><text text-anchor="end" x="{_LEFT - 7}" '
        f'y="{frame.y(tick) + 4:.1f}">{tick:,.10g}</text>'
        for tick in frame.y_ticks
    ]
    parts += [
        f'<text text-anchor="middle" x="{frame.x(tick):.1f}" y="{bottom + 18}">{tick:,.10g}</text>'
        for tick in frame.x_ticks
    ]
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="title" text-anchor="middle" x="{middle}" y="{_HEIGHT - 8}">{x_name}</text>'
        f'<text class="title" text-anchor="middle" x="14" y="{(_TOP + bottom) / 2}" '
        f'transform="rotate(-90 14 {(_TOP + bottom) / 2})">{y_name}</text>'
    )
    return "".join(parts)


def _svg(inside: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )


def _linear_ticks(most: float, count: int = 5) -> list[float]:
    """Round values from 0 to the first one that is not below ``most``."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _log_ticks(least: float, most: float) -> list[float]:
    """Values 1, 2 and 5 times powers of ten, from not above ``least`` to not below ``most``."""
    first = math.floor(math.log10(least)) - 1
    last = math.ceil(math.log10(most)) + 1
    every = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    low = max(value for value in every if value <= least * 1.0001)
    high = min(value for value in every if value >= most * 0.9999)
    ticks = [value for value in every if low <= value <= high]
    decades = [value for value in ticks if math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9)]
    return decades if len(ticks) > 9 and len(decades) > 3 else ticks
