"""``tune``: choose a beam search's weights on a development set.

Runs the acoustic model once over the manifest and keeps its outputs on disk; tries weights on two
thirds of the utterances; checks the best on the others, which share no sentence with them. Writes
a preset for --decoder-config: beam search with these weights, or with the default ones where those
do better in the check; greedy decoding where neither gains anything. The same seed gives the same
weights, in any number of processes.

The server must be there even if all outputs are kept: it tells which model it serves.
"""

import argparse
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

from rich.progress import Progress

from ..decoding import BeamOptions
from ..decoding.preset import write_preset
from ..errors import DecoderError, ManifestError, OutputError
from ..evaluation.acoustic_cache import AcousticCache, default_folder
from ..evaluation.tuning import report
from ..evaluation.tuning.acoustics import Utterance, compute
from ..evaluation.tuning.comparison import compare, greedy_beside
from ..evaluation.tuning.parts import Parts, hold_out
from ..evaluation.tuning.processes import Counted, DecodingProcesses
from ..evaluation.tuning.result import Tuning
from ..evaluation.tuning.trials import RANGES, Space, Trial, best_of
from ..manifests.manifest import read_manifest, survey
from ..utils.files import written_whole
from ..utils.utf8 import json_text
from ..wire.transport import Transport, TritonTransport
from .arguments import add_beam_options, add_model, beam_arguments
from .numbers import whole_number
from .outputs import (
    language_files,
    output_path,
    refuse_overwriting,
    with_recordings,
)
from .progress import tracked
from .references import warn_of_unwritable
from .server import transport_options, urls_of
from .streams import messages, open_output, report_failure, tables

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
    search = _needed("study").search
    draw = _needed("heat_map").draw if args.plot else None
    with open_output(None) as output:
        tuning, failed = _tune(args, space, search)
        with written_whole(args.output) as part:
            write_preset(part, tuning.preset())
        if draw:
            with written_whole(args.plot) as part:
                draw(tuning, part, args.plot.suffix[1:])
        _print(tuning, args.format, output)
    return 1 if failed else 0


def _tune(
    args: Namespace, space: Space, search: Callable[..., Iterator[Trial]]
) -> tuple[Tuning, int]:
    """The tuning, and how many recordings failed."""
    manifests = (args.manifest, args.held_out or args.manifest)
    options = transport_options(args)
    with closing(TritonTransport(urls_of(args), args.model, options)) as transport:
        contract = transport.contract
        with DecodingProcesses(contract, args.processes) as processes:
            processes.check(space.options)  # a bad language model, before hours of acoustics
            parts, failed = _parts(args, transport)
            tune, check = (partial(processes.count, utterances=part) for part in parts)
            (greedy,) = tune([greedy_beside(space.options)])
            trials = search(space, tune, args.trials, args.seed)
            done = _watch(trials, args.trials + len(space.narrower), greedy)
            comparison = compare(greedy, done, check)
    return Tuning(contract, manifests, parts, space, args.seed, done, comparison), failed


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="nemo-ctc tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser)
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="DEV.jsonl", help="JSON Lines with text"
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="HELD.jsonl",
        help="check with this manifest (default: with a third of the other)",
    )
    parser.add_argument(
        "--output", type=output_path, required=True, metavar="PRESET.json", help="the preset"
    )
    parser.add_argument(
        "--plot", type=_picture, metavar="MAP.png", help="draw the word errors over the weights"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the report")
    _add_search(parser.add_argument_group("search"))
    group = parser.add_argument_group("beam search")
    group.add_argument(
        "--lm", type=Path, required=True, metavar="FILE", help="ARPA, gzipped or not, or binary"
    )
    add_beam_options(group, without=_SEARCHED)
    return parser


def _add_search(group: Any) -> None:
    positive = whole_number(1)
    group.add_argument(
        "--trials", type=positive, default=100, metavar="N", help="weights to try (default 100)"
    )
    group.add_argument(
        "--beam-width",
        dest="beam_widths",
        type=positive,
        nargs="+",
        default=[BeamOptions.beam_width],
        metavar="W",
        help=f"hypotheses kept (default {BeamOptions.beam_width}); of several, the widest while"
        " searching, and then the least that does as well",
    )
    group.add_argument(
        "--processes",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="to decode in (default: one for each core, %(default)s here)",
    )
    group.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="(default 0)")
    group.add_argument(
        "--cache",
        type=Path,
        default=default_folder(),
        metavar="DIR",
        help="where the acoustic model's outputs are kept (default %(default)s)",
    )


def _picture(text: str) -> Path:
    path = output_path(text)
    if path.suffix not in _PICTURES:
        raise argparse.ArgumentTypeError(f"{text} does not end in {', '.join(_PICTURES)}")
    return path


def _space(args: Namespace) -> Space:
    widths = tuple(sorted(set(args.beam_widths)))
    options = BeamOptions(**beam_arguments(args), beam_width=widths[-1])
    return Space(options, widths[:-1])


def _needed(module: str) -> Any:
    """A module of tuning; imported here so that help does without optional packages."""
    try:
        return import_module(f"..evaluation.tuning.{module}", __package__)
    except ModuleNotFoundError as error:
        raise DecoderError(
            f"tuning needs the package {error.name}, which is not installed:"
            " pip install 'nemo-ctc-triton[tune]'"
        ) from error


def _parts(args: Namespace, transport: Transport) -> tuple[Parts, int]:
    """The utterances to tune on and to check with, and how many recordings failed."""
    try:
        cache = AcousticCache(args.cache, transport.contract)
    except OutputError as error:
        raise OutputError(f"--cache: {error}") from error
    utterances, failed = _utterances(args.manifest, transport, cache, args.in_flight)
    warn_of_unwritable((each.reference for each in utterances), transport.contract)
    if args.held_out is None:
        return hold_out(utterances), failed
    held_out, failed_there = _utterances(args.held_out, transport, cache, args.in_flight)
    parts = Parts(utterances, held_out)
    if parts.common:
        messages.print(
            f"warning: {parts.common} of {len(held_out)} held-out utterances have sentences that"
            " are tuned on too: the check is easier than it should be"
        )
    return parts, failed + failed_there


def _utterances(
    manifest: Path, transport: Transport, cache: AcousticCache, in_flight: int
) -> tuple[list[Utterance], int]:
    """The manifest's utterances, and how many failed and were reported."""
    utterances: list[Utterance] = []
    failed = 0
    size = survey(manifest)
    total = None if size is None else size.entries
    results = compute(read_manifest(manifest), transport, cache, in_flight)
    for result in tracked(results, "Acoustic model", total):
        if isinstance(result, Utterance):
            utterances.append(result)
        else:
            failed += 1
            report_failure(result.name, result.error)
    if not utterances:
        raise ManifestError(f"{manifest}: holds no recordings with text, which tuning needs")
    return utterances, failed


def _watch(trials: Iterable[Trial], total: int, greedy: Counted) -> list[Trial]:
    """All trials; shows how the best does, also when it is interrupted."""
    done: list[Trial] = []
    with Progress(console=messages, disable=not messages.is_terminal) as progress:
        task = progress.add_task("Tuning", total=total)
        try:
            for trial in trials:
                done.append(trial)
                progress.update(task, advance=1, description=_best(done, greedy))
        except KeyboardInterrupt:
            messages.print(
                f"{len(done)} of {total} trials, no preset written; {_best(done, greedy)}"
            )
            raise
    return done


def _best(trials: Sequence[Trial], greedy: Counted) -> str:
    if not trials:
        return f"greedy {greedy.errors} word errors"
    best = best_of(trials)
    options = best.options
    return (
        f"best {best.counted.errors} word errors (greedy {greedy.errors}):"
        f" alpha {options.alpha:g}, beta {options.beta:g}"
    )


def _print(tuning: Tuning, form: str, output: TextIO) -> None:
    if form == "json":
        output.write(json_text(tuning.as_json()) + "\n")
        return
    console = tables(output)
    for table in report.tables(tuning):
        console.print(table)
    output.write(f"{tuning.comparison.verdict()}\n")
