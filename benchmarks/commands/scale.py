"""``scale``: how cost grows with audio length, requests in flight, and size of the vocabulary.

Single requests of 1 s up to the model's longest, with least squares of a line and of a line with a
quadratic part; throughput from 1 to 256 requests in flight; and with ``--vocabulary NAME…`` the CTC
heads of several models, without a server. What is finished is in ``--output`` at once, and
``--resume`` goes on with it; table and plot are written beside it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from benchmarks.environment import describe
from benchmarks.load.arguments import (
    add_audio,
    add_load,
    add_output,
    add_target,
    load_options,
    open_target,
    settings_of,
    utterances_of,
)
from benchmarks.load.arrivals import CLOSED, Level
from benchmarks.load.loop import LoadOptions, Target
from benchmarks.load.packages import PACKAGES
from benchmarks.load.scale_plot import plot
from benchmarks.load.scaling import against_concurrency, against_length, against_vocabulary
from benchmarks.load.served import served_as
from benchmarks.load.sweep import Points, Run, Turn, sweep, turns
from benchmarks.load.table import markdown, rich_table
from benchmarks.numbers import above
from client.commands.streams import messages, tables

CONCURRENCIES: Final = (1, 4, 16, 64, 256)
PARTS: Final = ("length", "concurrency")
Cells = dict[str, list[str]]


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.vocabulary and parsed.repository is None:
        parser.error("--vocabulary: needs --repository DIR, where the models are")
    if parsed.resume and parsed.output is None:
        parser.error("--resume: needs --output RUN.json, the run to go on with")
    options = load_options(parser, parsed)
    circumstances = describe(PACKAGES, ["scale", *arguments], "benchmarks")
    with ExitStack() as afterwards:
        with open_target(parsed) as target:
            points = Points(parsed.output, {**circumstances, **_settings(parsed, options, target)})
            if parsed.resume:
                points.resume("length", "vocabulary")
            afterwards.callback(_report, points, parsed)
            _measure(points, parsed, options, target)
        _measure_heads(points, parsed)  # when no server computes beside it
    return 0


def _settings(parsed: argparse.Namespace, options: LoadOptions, target: Target) -> dict[str, Any]:
    chosen = {name: getattr(parsed, name) for name in ("most_seconds", "rounds", "threads")}
    served = served_as(target)
    return {"settings": {**settings_of(parsed, options), **chosen, "served": served}}


def _measure(
    points: Points, parsed: argparse.Namespace, options: LoadOptions, target: Target
) -> None:
    """What is asked for of the server and not among the ``points``."""
    if "length" in parsed.parts and "length" not in points.document:
        points.keep("length", against_length(target, parsed.most_seconds, parsed.rounds))
    if "concurrency" in parsed.parts:
        run = Run(target, utterances_of(parsed, target), options)
        plan = list(turns([Level(CLOSED, n) for n in parsed.concurrency], parsed.repeats))
        sweep(run, plan, points, _tell)


def _measure_heads(points: Points, parsed: argparse.Namespace) -> None:
    compared = {each["name"] for each in points.document.get("vocabulary", ())}
    if not compared >= set(parsed.vocabulary or ()):
        points.keep(
            "vocabulary",
            against_vocabulary(parsed.repository, parsed.vocabulary, parsed.threads, parsed.rounds),
        )


def _report(points: Points, parsed: argparse.Namespace) -> None:
    """Print and write what there is, also when it was cut short."""
    if points.document["points"]:
        points.keep("concurrency", against_concurrency(points.document["points"]))
    made = _tables(points.document)
    if not made:
        return
    _show(points.document, parsed.model)
    if parsed.output is not None:
        text = "\n".join(f"{verdict}\n\n{markdown(cells)}" for _, cells, verdict in made)
        parsed.output.with_suffix(".md").write_text(text, encoding="utf-8")
        plot(points.document, parsed.model, parsed.output.with_suffix(".png"))


def _show(found: Mapping[str, Any], model: str) -> None:
    console = tables(sys.stdout)
    for title, cells, verdict in _tables(found):
        console.print(rich_table(cells, f"{model}: {title}"))
        console.print(verdict)


def _tables(found: Mapping[str, Any]) -> list[tuple[str, Cells, str]]:
    """Title, cells and verdict of each part."""
    made = []
    if "length" in found:
        made.append(_length_table(found["length"]))
    if "concurrency" in found:
        made.append(_concurrency_table(found["concurrency"]))
    if "vocabulary" in found:
        made.append(_vocabulary_table(found["vocabulary"]))
    return made


def _length_table(found: Mapping[str, Any]) -> tuple[str, Cells, str]:
    fit = found["fit"]
    line, curve = fit["linear"], fit["quadratic"]
    pairs = list(zip(found["lengths_s"], found["cost_ms"], strict=True))
    cells = {
        "audio s": [f"{length_s:g}" for length_s, _ in pairs],
        "median ms": [f"{cost['median']:,.1f}" for _, cost in pairs],
        "quartiles": [f"{cost['low']:,.1f} - {cost['high']:,.1f}" for _, cost in pairs],
        "ms for 1 s": [f"{cost['median'] / length_s:,.2f}" for length_s, cost in pairs],
        "line is off by": [f"{residual:+.0%}" for residual in line["residuals"]],
        "curve is off by": [f"{residual:+.0%}" for residual in curve["residuals"]],
    }
    verdict = (
        f"The cost {fit['verdict']}. Line: {line['fixed_ms']:.1f} ms + "
        f"{line['linear_ms_per_s']:.2f} ms for each second; curve: {curve['fixed_ms']:.1f} ms + "
        f"{curve['linear_ms_per_s']:.2f} t + {curve['quadratic_ms_per_s2']:.4f} t²."
    )
    return "one request at a time", cells, verdict


def _concurrency_table(found: Mapping[str, Any]) -> tuple[str, Cells, str]:
    cells = {
        "in flight": [str(level) for level in found["concurrency"]],
        "RTFx": [f"{each['median']:.1f}" for each in found["rtfx"]],
        "quartiles": [f"{each['low']:.1f} - {each['high']:.1f}" for each in found["rtfx"]],
        "p95 ms": [f"{each['median']:,.0f}" for each in found["p95_ms"]],
        "failed": [str(failed) for failed in found["failed"]],
    }
    return "requests in flight", cells, f"Requests in flight: {found['verdict']}."


def _vocabulary_table(found: Sequence[Mapping[str, Any]]) -> tuple[str, Cells, str]:
    cells = {
        "model": [each["name"] for each in found],
        "vocabulary": [str(each["vocabulary"]) for each in found],
        "ms for 1 s": [f"{each['ms_per_audio_s']:.3f}" for each in found],
        "quartiles": [f"{each['low']:.3f} - {each['high']:.3f}" for each in found],
    }
    return "CTC head alone", cells, "The CTC head in bare ONNX Runtime, an utterance of 10 s."


def _tell(turn: Turn, figures: Mapping[str, Any]) -> None:
    messages.print(f"{turn.level.label}, round {turn.repeat + 1}: RTFx {figures['rtfx']:.1f}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    add_target(parser)
    add_audio(parser)
    add = parser.add_argument_group("what grows").add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (both)")
    add("--most-seconds", type=above(float), default=3600.0, help="longest audio (the model's)")
    add("--rounds", type=above(int), default=5, help="of lengths and vocabularies (%(default)s)")
    add("--concurrency", type=above(int), nargs="+", default=CONCURRENCIES, metavar="N")
    add("--repeats", type=above(int), default=3, help="rounds of concurrencies (%(default)s)")
    add("--vocabulary", nargs="+", metavar="NAME", help="models whose CTC heads to compare")
    add("--threads", type=above(int), default=2, help="of the CTC heads (%(default)s)")
    add_load(parser)
    add_output(parser, "table (.md) and plot (.png)")
    parser.add_argument("--resume", action="store_true", help="keep what is in --output")
    return parser
