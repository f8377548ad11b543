"""The plot of ``scale``: one panel for each thing that grows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.decoders.packages import optional
from benchmarks.load.colors import LIGHT

Panel = Callable[[Any, Any], None]


def plot(found: Mapping[str, Any], model: str, path: Path) -> None:
    """Write the chart as PNG; raises :class:`ProviderError` without matplotlib."""
    panels: dict[str, Panel] = {
        "length": _length,
        "concurrency": _concurrency,
        "vocabulary": _vocabulary,
    }
    shown = [name for name in panels if name in found]
    chart = optional("matplotlib.figure", "matplotlib").Figure(
        figsize=(5.2 * len(shown), 4.2), layout="constrained"
    )
    for axes, name in zip(chart.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        panels[name](axes, found[name])
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
    chart.suptitle(f"{model}: what grows with what", x=0.01, ha="left")
    chart.savefig(path, dpi=150, format="png")


def _length(axes: Any, found: Mapping[str, Any]) -> None:
    lengths_s = found["lengths_s"]
    for name, style in (("linear", "--"), ("quadratic", "-")):
        fit = found["fit"][name]
        steps = [lengths_s[-1] * step / 100 for step in range(101)]
        values = [
            fit["fixed_ms"] + t * (fit["linear_ms_per_s"] + t * fit["quadratic_ms_per_s2"])
            for t in steps
        ]
        axes.plot(steps, values, style, color=LIGHT["queue"], label=f"{name} fit")
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


def _vocabulary(axes: Any, found: Sequence[Mapping[str, Any]]) -> None:
    costs = [{**each, "median": each["ms_per_audio_s"]} for each in found]
    _points(axes, [each["vocabulary"] for each in found], costs)
    axes.set_xlabel("vocabulary, with blank")
    axes.set_ylabel("ms of CTC head for a second of audio")


def _points(
    axes: Any, x: Sequence[float], spreads: Sequence[Mapping[str, Any]], line: str = ""
) -> None:
    axes.errorbar(
        x,
        [each["median"] for each in spreads],
        yerr=(
            [each["median"] - each["low"] for each in spreads],
            [each["high"] - each["median"] for each in spreads],
        ),
        fmt=f"o{line}",
        color=LIGHT["encoder"],
        capsize=3,
    )
