"""The trials as a map: word errors over alpha and beta, against those of greedy decoding.

Blue is better than greedy decoding, red is worse. The scale is linear, and ends at half of greedy's
errors on both sides: maps of different models compare, and a small gain looks small. Between the
trials, which are dots, the field is interpolated; where more than alpha and beta is searched,
neighbours do not compare, and there are dots alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.tri import Triangulation

from .result import Tuning
from .trials import KNOWN, RANGES, Trial

_COLOURS: Final = "RdBu_r"  # told apart with every kind of colour blindness
_NOT_TRIED: Final = "0.85"  # grey: white is on the scale
_LEVELS: Final = 41
_DOTS_PER_INCH: Final = 150
_MARGIN: Final = 0.02  # of an axis, so that dots at its ends are whole


def draw(tuning: Tuning, path: Path, kind: str) -> None:
    """Write the map to ``path``; ``kind`` is ``png``, ``pdf`` or ``svg``."""
    greedy = tuning.comparison.greedy.tuning
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    _draw_axes(axes)
    if tuning.space.weights == ("alpha", "beta"):
        _draw_field(axes, tuning.trials, greedy.errors)
    _draw_trials(axes, tuning)
    _draw_scale(figure, axes, greedy.errors)
    axes.set_title(
        f"Word errors on {len(greedy.by_utterance)} utterances, {greedy.words} words:"
        f" greedy {greedy.errors}, best {tuning.best.counted.errors}"
    )
    figure.savefig(path, format=kind, dpi=_DOTS_PER_INCH)


def _scale(greedy: int) -> Normalize:
    reach = max(greedy / 2, 1)
    return Normalize(greedy - reach, greedy + reach)


def _draw_field(axes: Axes, trials: Sequence[Trial], greedy: int) -> None:
    """Word errors between the trials, and the line where they are greedy's."""
    errors: dict[tuple[float, float], int] = {}
    for trial in trials:
        errors.setdefault(_place(trial), trial.counted.errors)  # narrower beams come last
    if len(errors) < len(KNOWN):  # these are a triangle, the least to interpolate in
        return
    triangles = Triangulation(*np.array(list(errors)).T)
    values = list(errors.values())
    scale = _scale(greedy)
    levels = scale.inverse(np.linspace(0, 1, _LEVELS))
    axes.tricontourf(triangles, values, levels, cmap=_COLOURS, norm=scale, extend="both", zorder=1)
    if min(values) < greedy < max(values):
        line = axes.tricontour(triangles, values, [greedy], colors="black", zorder=2)
        axes.clabel(line, fmt={greedy: "as greedy"}, fontsize=9)


def _draw_trials(axes: Axes, tuning: Tuning) -> None:
    """A dot for each trial, a square for known weights, a star for the best."""
    scale = _scale(tuning.comparison.greedy.tuning.errors)
    for trial in tuning.trials:
        axes.plot(
            *_place(trial),
            marker="s" if trial.name else "o",
            markersize=8 if trial.name else 4.5,
            color=colormaps[_COLOURS](scale(trial.counted.errors)),
            markeredgecolor="black",
            zorder=4 if trial.name else 3,
        )
        if trial.name:
            _label(axes, trial, trial.name)
    best = tuning.best
    axes.plot(*_place(best), "*", markersize=18, color="gold", markeredgecolor="black", zorder=5)
    if not best.name:
        _label(axes, best, "best")


def _label(axes: Axes, trial: Trial, text: str) -> None:
    axes.annotate(
        text,
        _place(trial),
        xytext=(8, 6),
        textcoords="offset points",
        path_effects=[withStroke(linewidth=3, foreground="white")],
        zorder=6,
    )


def _draw_axes(axes: Axes) -> None:
    axes.set_facecolor(_NOT_TRIED)
    axes.set_xlim(*_with_margin(*RANGES["alpha"]))
    axes.set_ylim(*_with_margin(*RANGES["beta"]))
    axes.set_xlabel("alpha: weight of the language model")
    axes.set_ylabel("beta: bonus for each word")


def _draw_scale(figure: Figure, axes: Axes, greedy: int) -> None:
    label = "word errors (line: greedy decoding; grey: not tried)"
    colours = ScalarMappable(_scale(greedy), _COLOURS)
    bar = figure.colorbar(colours, ax=axes, extend="both", label=label)
    bar.ax.axhline(greedy, color="black", linewidth=1.5)


def _place(trial: Trial) -> tuple[float, float]:
    return trial.options.alpha, trial.options.beta


def _with_margin(least: float, most: float) -> tuple[float, float]:
    margin = _MARGIN * (most - least)
    return least - margin, most + margin
