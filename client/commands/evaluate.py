"""``evaluate``: transcribe a manifest and compare with its ``text``, or compare texts that exist.

Prints word and character error rates with their counts and confidence intervals, what failed, how
fast it went, and the wrong utterances, reference above hypotheses. Failed utterances are in no
rate: they are counted apart, and the exit status is 1.
"""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, TextIO

from ..decoding.options import SearchOptions
from ..evaluation import (
    AcousticOptions,
    Evaluation,
    EvaluationOptions,
    ReportOptions,
    System,
    Tokenizers,
    as_json,
    evaluate,
    write_csv,
    write_report,
)
from ..evaluation.acoustic_cache import cache_folder
from ..evaluation.normalization import MEANINGS
from ..evaluation.text import print_evaluation
from ..utils.utf8 import json_text
from .arguments import add_transcriber, audio_options, segmentation_options
from .outputs import (
    STANDARD_OUTPUT,
    add_output,
    language_files,
    output_path,
    refuse_overwriting,
    with_recordings,
)
from .parser import CommandParser, whole_number
from .progress import Display
from .server import transport_options, urls_of
from .streams import open_output, tables, warn
from .systems import EXAMPLES, add_systems, read_systems

_DEFAULT_SHOWN: Final = 20


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any utterance failed."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.embed_audio and not args.report:
        parser.error("--embed-audio: is for a page, name one with --report R.html")
    systems = read_systems(parser, args)
    manifest = args.manifest or _first_scored(parser, systems)
    inputs = _inputs(args, manifest, systems)
    refuse_overwriting([args.output or STANDARD_OUTPUT, args.report], inputs)
    # There until the report is written, if there are models at all.
    scored = all(system.scored for system in systems)
    cache = nullcontext(args.cache) if scored else cache_folder(args.cache)
    with open_output(args.output) as output, cache as folder:
        options = EvaluationOptions(
            args.normalize,
            tuple(args.by),
            args.threads,
            Tokenizers(args.tokenizers),
            AcousticOptions(
                transport_options(args), audio_options(args), segmentation_options(args), folder
            ),
        )
        with Display() as display:
            evaluation = evaluate(
                manifest,
                systems,
                urls_of(args),
                options,
                on_progress=display.on_progress,
                warn=warn,
            )
        _write(evaluation, args, output)
        if args.report:
            _report(evaluation, args, options)
    return 1 if evaluation.failures else 0


def _first_scored(parser: ArgumentParser, systems: Iterable[System]) -> Path:
    """The file of texts that has the references too, where there is no manifest."""
    files = [Path(system.scored.path) for system in systems if system.scored]
    if not files:
        parser.error("--manifest: is missing, name the JSON Lines with the references")
    return files[0]


def _inputs(args: Namespace, manifest: Path, systems: Iterable[System]) -> Iterator[Path | None]:
    """The files that are read; not the presets of --system, which are read by now."""
    yield from (args.decoder_config, *args.tokenizers)
    for system in systems:
        if isinstance(system.decoder, SearchOptions):
            yield from language_files(system.decoder)
        if system.scored:
            yield Path(system.scored.path)
    yield from with_recordings(manifest)


def _write(evaluation: Evaluation, args: Namespace, output: TextIO) -> None:
    if args.format == "json":
        output.write(json_text(as_json(evaluation)) + "\n")
    elif args.format == "csv":
        write_csv(evaluation, output)
    else:
        print_evaluation(evaluation, args.show_errors, tables(output))


def _report(evaluation: Evaluation, args: Namespace, options: EvaluationOptions) -> None:
    audio, tokenizers = options.acoustics.audio, options.tokenizers
    shown = ReportOptions(args.embed_audio, audio=audio, tokenizers=tokenizers)
    write_report(evaluation, args.report, evaluation.log_probs, shown)


def _parser() -> ArgumentParser:
    parser = CommandParser("nemo-ctc evaluate", f"{__doc__}\n{EXAMPLES}")
    text = "JSON Lines with text (default: the first of --scored, which has text itself)"
    parser.add_argument("--manifest", type=Path, metavar="M.jsonl", help=text)
    add_systems(parser)
    add_transcriber(parser, model_required=False, without=("nbest",))
    add_output(parser, ("text", "json", "csv"))
    _add_shown(parser)
    _add_comparison(parser.add_argument_group("comparison"))
    return parser


def _add_shown(parser: ArgumentParser) -> None:
    add = parser.add_argument
    text = "wrong utterances to print (default %(default)s)"
    add("--show-errors", type=whole_number(0), default=_DEFAULT_SHOWN, metavar="N", help=text)
    text = "write all of it as a page: utterances to search, play and compare"
    add("--report", type=output_path, metavar="R.html", help=text)
    text = "put the audio into the report, which is then complete, and larger (default: links)"
    add("--embed-audio", action="store_true", help=text)


def _add_comparison(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    text = "rates by the values of this field of the manifest too, as speaker; may be repeated"
    add("--by", action="append", default=[], metavar="FIELD", help=text)
    steps = "; ".join(f"{name}, {meaning}" for name, meaning in MEANINGS.items())
    text = (
        "done to reference and hypotheses before they are compared, in this order (default "
        f"nothing): {steps}"
    )
    add("--normalize", type=_steps, default=(), metavar="STEP,…", help=text)
    text = (
        "the checkpoint's SentencePiece model, for the CTC loss of its pieces; may be repeated for "
        "several models"
    )
    add(
        "--tokenizer",
        dest="tokenizers",
        type=Path,
        action="append",
        default=[],
        metavar="T.model",
        help=text,
    )
    text = (
        "keep the acoustic models' outputs here, and use those that are there, as long as "
        "audio, checkpoint, precision and exporter are the same (default: run the models anew)"
    )
    add("--cache", type=Path, metavar="DIR", help=text)


def _steps(text: str) -> tuple[str, ...]:
    steps = tuple(text.split(","))
    if unknown := [step for step in steps if step not in MEANINGS]:
        raise argparse.ArgumentTypeError(
            f"unknown step {', '.join(map(repr, unknown))}, expected one or more of "
            f"{', '.join(MEANINGS)}"
        )
    return steps
