"""``peers``: NeMo, onnx-asr, sherpa-onnx, bare ONNX Runtime and ours on the same weights and clips.

All decode greedily, with the same number of threads on the same CPUs, and take turns in one run.
Everybody's time begins with WAV files on the disk and ends with texts. The model is exported and
prepared first: ``make peers`` does all of it.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from benchmarks.peers.audio import ClipOptions, clips, utterances_of
from benchmarks.peers.contest import Accuracy, Pace, compare
from benchmarks.peers.entries import KINDS, LOOPS, OURS, Settings, entries, prepared_model
from benchmarks.peers.layout import DEFAULT_FOLDER
from benchmarks.plots import OTHER_COLOR, OUR_COLOR, VARIANT_COLOR, plot_bars
from benchmarks.report import Cells, write_report
from benchmarks.tables import rich_table, spread_cells
from client.commands.parser import CommandParser, positive
from client.commands.streams import tables

IDLE_LIMIT: Final = 0.05
"""Cores that waiting peers may use together, unmentioned."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    parsed.repository = parsed.repository or parsed.folder / "repository"
    settings = Settings(**{each.name: getattr(parsed, each.name) for each in fields(Settings)})
    prepared = prepared_model(settings)
    taking_part = entries(settings, prepared)
    cache = parsed.folder / "audio"
    options = ClipOptions(count=parsed.clips, seed=parsed.seed)
    audio = clips(parsed.speech, options, cache)
    test = None if parsed.manifest is None else utterances_of(parsed.manifest, cache)
    contest = compare(taking_part, audio, test, parsed.rounds)
    title = (
        f"{parsed.name}: {parsed.clips} clips, {audio.audio_s:.0f} s,"
        f" {parsed.threads} threads, {parsed.rounds} rounds"
    )
    console = tables(sys.stdout)
    console.print(rich_table(_paces(contest.paces), title))
    console.print(verdict(contest.paces))
    if test is not None:
        words = f"{parsed.name}: {parsed.manifest.name}, {len(test.files)} utterances"
        console.print(rich_table(_accuracies(contest.accuracies), words))
    left_out = prepared.refused | contest.left_out
    for name, reason in left_out.items():
        console.print(f"left out: {name}: {reason}")
    if parsed.plot is not None:
        bars = [(p.speed, f"{p.speed.rtfx:,.1f}", _color(p.task)) for p in contest.paces]
        what = "seconds of audio transcribed in a second"
        plot_bars(bars, title, what, parsed.plot, label_room=0.12)
    figures = {
        "settings": asdict(settings),
        "checkpoint": {
            "name": Path(prepared.checkpoint).name,
            "sha256": prepared.checkpoint_sha256,
        },
        "clips": {**asdict(options), "speech": str(parsed.speech), "audio_s": audio.audio_s},
        "manifest": None if test is None else str(parsed.manifest),
        **asdict(contest),
        "left_out": left_out,
    }
    write_report(parsed.output, (), ["peers", *arguments], figures)
    return 0


def verdict(paces: Sequence[Pace]) -> str:
    """Each of ours to the fastest other, and whether somebody disturbed."""
    ours = [pace for pace in paces if pace.task.startswith(OURS)]
    others = [pace for pace in paces if not pace.task.startswith(OURS)]
    sentences = []
    if others:
        other = max(others, key=lambda pace: pace.speed.rtfx)
        # Others are in fp32: each precision of ours is set against them by its own name.
        for pace in ours:
            times = pace.speed.rtfx / other.speed.rtfx
            sentences.append(f"{pace.task}: {times:.2f} times the fastest other, {other.task}")
    idle = max((pace.idle for pace in paces), default=0.0)
    if idle > IDLE_LIMIT:
        sentences.append(f"peers that waited took up to {idle:.2f} cores: the figures are wrong")
    strangers = max((pace.strangers for pace in paces), default=0.0)
    sentences.append(f"what is no part of this took up to {strangers:.2f} cores")
    return "; ".join(sentences)


def _paces(paces: Iterable[Pace]) -> Cells:
    """Speeds in turns; cores are CPU time over wall time, the strangers' too."""
    headings = "RTFx,quartiles,ratio,CPU s a minute,cores,strangers,CER to NeMo".split(",")
    rows = []
    for pace in paces:
        shares = (pace.speed.ratio, pace.cpu_per_minute_s, pace.cores, pace.strangers)
        rtfx = spread_cells(pace.speed.rtfx, pace.speed.rtfx_low, pace.speed.rtfx_high)
        numbers = (f"{value:.2f}" for value in shares)
        rows.append((pace.task, *rtfx, *numbers, _share(pace.from_nemo)))
    return Cells(("", *headings), rows)


def _accuracies(accuracies: Iterable[Accuracy]) -> Cells:
    """Word errors, and what batches change."""
    rows = [
        (
            each.task,
            f"{each.errors} of {each.words}",
            f"{each.wer:.2%}",
            _share(each.changed),
            _share(each.as_nemo),
        )
        for each in accuracies
    ]
    return Cells(("", "errors", "WER", "changed in batches", "text as NeMo's"), rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _color(task: str) -> str:
    if task.startswith(OURS):
        return OUR_COLOR
    return VARIANT_COLOR if task.startswith(LOOPS) else OTHER_COLOR


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks peers", __doc__)
    add = parser.add_argument
    add("name", metavar="NAME", help="prepared model")
    add("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="(%(default)s)")
    add("--repository", type=Path, metavar="DIR", help="of our models (repository/ in the folder)")
    what = "recordings that the clips are made of"
    add("--speech", type=Path, required=True, metavar="M.jsonl", help=what)
    add("--manifest", type=Path, metavar="M.jsonl", help="count everybody's word errors on it too")
    add("--clips", type=positive(int), default=64, help="of 1.5 to 15 s (%(default)s)")
    add("--seed", type=int, default=0, help="of the clips (%(default)s)")
    add("--rounds", type=positive(int), default=5, help="of turns (%(default)s)")
    add("--threads", type=positive(int), default=2, help="and CPUs for each (%(default)s)")
    sizes, what = Settings.batches, "sizes that all try beside one by one (4 8)"
    add("--batches", type=positive(int), nargs="*", default=sizes, metavar="B", help=what)
    numbers, what = Settings.in_flight, "requests at once that our client tries (4 16)"
    add("--in-flight", type=positive(int), nargs="+", default=numbers, metavar="N", help=what)
    what = "further models of ours in the repository, such as one in int8"
    add("--precisions", nargs="+", default=[], metavar="NAME", help=what)
    what = f"who takes part: {', '.join(KINDS)} (all)"
    add("--only", dest="kinds", nargs="+", choices=KINDS, default=KINDS, metavar="PEER", help=what)
    add("--output", type=Path, metavar="JSON", help="figures and circumstances")
    add("--plot", type=Path, metavar="PNG", help="bar chart")
    return parser
