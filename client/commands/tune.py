"""``tune``: choose a beam search's weights on a development set.

Runs the acoustic model once over the manifest and keeps its outputs on disk; tries weights on two
thirds of the utterances; checks the best on the others, which share no sentence with them. Writes
a preset for --decoder-config: beam search with these weights, or with the default ones where those
do better in the check; greedy decoding where neither gains anything. The same seed gives the same
weights, in any number of threads.

The server must run even if all outputs are cached: `tune` asks it which checkpoint it serves.
"""

import argparse
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

from ..decoding import BeamOptions
from ..decoding.preset import write_preset
from ..evaluation import AcousticOptions, Space, TuningOptions, tune
from ..evaluation.acoustic_cache import default_folder
from ..evaluation.tuning.result import Tuning, tables_of
from ..evaluation.tuning.trials import RANGES, best_of
from ..evaluation.tuning.tuner import Searched, optional
from ..utils.files import written_whole
from ..utils.utf8 import json_text
from .arguments import (
    add_beam_options,
    add_language_models,
    add_model,
    add_recordings,
    audio_options,
    beam_arguments,
    segmentation_options,
)
from .outputs import language_files, output_path, refuse_overwriting, with_recordings
from .parser import CommandParser, whole_number
from .progress import Display
from .server import transport_options, urls_of
from .streams import messages, open_output, tables, warn

_SEARCHED: Final = ("lm", "beam_width", "nbest", *RANGES)
_PICTURES: Final = (".png", ".pdf", ".svg")


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when a recording failed and was left out."""
    args = _parser().parse_args(arguments)
    space = _space(args)
    inputs = chain(
        language_files(space.options),
        *map(with_recordings, filter(None, (args.manifest, args.held_out))),
    )
    refuse_overwriting([args.output, args.plot], inputs)
    draw = optional("heat_map").draw if args.plot else None
    with open_output(None) as output:
        tuning = _tune(args, space)
        with written_whole(args.output) as part:
            write_preset(part, tuning.preset())
        if draw:
            with written_whole(args.plot) as part:
                draw(tuning, part, args.plot.suffix[1:])
        _print(tuning, args.format, output)
    return 1 if tuning.failures else 0


def _tune(args: Namespace, space: Space) -> Tuning:
    acoustics = AcousticOptions(
        transport_options(args), audio_options(args), segmentation_options(args), args.cache
    )
    done: list[Searched] = []
    with Display() as display:

        def show(searched: Searched) -> None:
            done[:] = [searched]
            display.show("Tuning", len(searched.trials), searched.total, _best(searched))

        try:
            return tune(
                args.manifest,
                space,
                urls_of(args),
                args.model,
                args.held_out,
                TuningOptions(args.trials, args.seed, args.threads, acoustics),
                on_progress=display.on_progress,
                on_trial=show,
                warn=warn,
            )
        except KeyboardInterrupt:
            for searched in done:
                counts = f"{len(searched.trials)} of {searched.total} trials"
                messages.print(f"{counts}, no preset written; {_best(searched)}")
            raise


def _parser() -> ArgumentParser:
    parser = CommandParser("nemo-ctc tune", __doc__)
    add_model(parser)
    add_recordings(parser, always_strict=True)
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="DEV.jsonl", help="JSON Lines with text")
    text = "check with this manifest (default: with a third of the other)"
    add("--held-out", type=Path, metavar="HELD.jsonl", help=text)
    add("--output", type=output_path, required=True, metavar="PRESET.json", help="the preset")
    add("--plot", type=_picture, metavar="MAP.png", help="draw the word errors over the weights")
    add("--format", choices=("text", "json"), default="text", help="of the report")
    _add_search(parser.add_argument_group("search"))
    group = parser.add_argument_group("beam search")
    add_language_models(group, required=True)
    add_beam_options(group, without=_SEARCHED)
    return parser


def _add_search(group: Any) -> None:
    positive = whole_number(1)
    add = group.add_argument
    add("--trials", type=positive, default=100, metavar="N", help="weights to try (default 100)")
    add(
        "--beam-width",
        dest="beam_widths",
        type=positive,
        nargs="+",
        default=[BeamOptions.beam_width],
        metavar="W",
        help=f"hypotheses kept (default {BeamOptions.beam_width}); of several, the widest while"
        " searching, and then the least that does as well",
    )
    text = "to decode in (default: one for each core, %(default)s here)"
    add("--threads", type=positive, default=os.cpu_count() or 1, metavar="N", help=text)
    add("--seed", type=whole_number(0), default=0, metavar="N", help="(default 0)")
    text = "where the acoustic model's outputs are kept (default %(default)s)"
    add("--cache", type=Path, default=default_folder(), metavar="DIR", help=text)


def _picture(text: str) -> Path:
    path = output_path(text)
    if path.suffix not in _PICTURES:
        raise argparse.ArgumentTypeError(f"{text} does not end in {', '.join(_PICTURES)}")
    return path


def _space(args: Namespace) -> Space:
    widths = tuple(sorted(set(args.beam_widths)))
    options = BeamOptions(**beam_arguments(args), beam_width=widths[-1])
    return Space(options, widths[:-1])


def _best(searched: Searched) -> str:
    greedy = searched.greedy.errors
    if not searched.trials:
        return f"greedy {greedy} word errors"
    best = best_of(searched.trials)
    return (
        f"best {best.counted.errors} word errors (greedy {greedy}):"
        f" alpha {best.options.alpha:g}, beta {best.options.beta:g}"
    )


def _print(tuning: Tuning, form: str, output: TextIO) -> None:
    if form == "json":
        output.write(json_text(tuning.as_json()) + "\n")
        return
    console = tables(output)
    for table in tables_of(tuning):
        console.print(table)
    output.write(f"{tuning.comparison.verdict()}\n")
