"""``evaluate``: transcribe a manifest and compare with its ``text``.

Prints word and character error rates with their counts and confidence intervals, what failed, how
fast it went, and the wrong utterances, reference above hypotheses. Failed utterances are in no
rate: they are counted apart, and the exit status is 1.
"""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ..decoding import BeamOptions
from ..errors import ManifestError, OutputError
from ..evaluation.acoustic_cache import default_folder, make_folder
from ..evaluation.acoustics import AcousticModel
from ..evaluation.as_json import as_json
from ..evaluation.evaluator import EvaluationOptions, Evaluator
from ..evaluation.normalization import MEANINGS, normalized
from ..evaluation.spelling import Tokenizers
from ..evaluation.text import print_evaluation
from ..manifests.manifest import Entry, read_manifest, survey, with_text
from ..transcriber import Result
from ..utils.utf8 import json_text
from ..wire.transport import TritonTransport
from .arguments import add_transcriber
from .numbers import whole_number
from .outputs import (
    STANDARD_OUTPUT,
    add_output,
    language_files,
    output_path,
    refuse_overwriting,
    with_recordings,
)
from .progress import shown, tracked
from .recordings import audio_options, long_audio_options
from .references import warn_of_unwritable
from .server import transport_options, urls_of
from .streams import open_output, report, tables
from .systems import EXAMPLES, Chosen, add_systems, read_systems

_DEFAULT_SHOWN: Final = 20


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any utterance failed."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.embed_audio and not args.report:
        parser.error("--embed-audio: is for a page, name one with --report R.html")
    systems = read_systems(parser, args)
    refuse_overwriting([args.output or STANDARD_OUTPUT, args.report], _inputs(args, systems))
    with open_output(args.output) as output, _folder(args.cache) as folder:
        evaluator = _evaluated(args, systems, folder)
        evaluation = evaluator.evaluation()
        if args.format == "json":
            output.write(json_text(as_json(evaluation)) + "\n")
        else:
            print_evaluation(evaluation, args.show_errors, tables(output))
        if args.report:
            from ..evaluation.report import (  # noqa: PLC0415 -- for who wants a page
                ReportOptions,
                write_report,
            )

            options = ReportOptions(
                args.embed_audio,
                audio=audio_options(args),
                tokenizers=Tokenizers(args.tokenizers),
            )
            write_report(evaluation, args.report, evaluator.log_probs, options)
    return 1 if evaluation.failures else 0


def _inputs(args: Namespace, systems: Iterable[Chosen]) -> Iterator[Path | None]:
    """The files that are read; not the presets of --system, which are read by now."""
    yield from (args.decoder_config, *args.tokenizers)
    for beam in (each.system.decoder for each in systems):
        if isinstance(beam, BeamOptions):
            yield from language_files(beam)
    yield from with_recordings(args.manifest)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="nemo-ctc evaluate",
        description=f"{__doc__}\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="M.jsonl", help="JSON Lines with text"
    )
    add_systems(parser)
    add_transcriber(parser)
    add_output(parser, ("text", "json"))
    parser.add_argument(
        "--show-errors",
        type=whole_number(0),
        default=_DEFAULT_SHOWN,
        metavar="N",
        help="wrong utterances to print (default %(default)s)",
    )
    parser.add_argument(
        "--report",
        type=output_path,
        metavar="R.html",
        help="write all of it as a page: utterances to search, play and compare",
    )
    parser.add_argument(
        "--embed-audio",
        action="store_true",
        help="put the audio into the report, which is then complete, and larger (default: links)",
    )
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--normalize",
        type=_steps,
        default=(),
        metavar="STEP,…",
        help="done to reference and hypotheses before they are compared, in this order (default "
        "nothing): " + "; ".join(f"{name}, {text}" for name, text in MEANINGS.items()),
    )
    group.add_argument(
        "--tokenizer",
        dest="tokenizers",
        type=Path,
        action="append",
        default=[],
        metavar="T.model",
        help="the checkpoint's SentencePiece model, for the CTC loss of its pieces; may be "
        "repeated for several models",
    )
    group.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep the acoustic models' outputs here, and use those that are there, as long as "
        "audio, checkpoint, precision and exporter are the same (default: run the models anew)",
    )
    return parser


def _steps(text: str) -> tuple[str, ...]:
    steps = tuple(text.split(","))
    if unknown := [step for step in steps if step not in MEANINGS]:
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(map(repr, unknown))}, expected some of {', '.join(MEANINGS)}"
        )
    return steps


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    """Where ``log_probs`` are meanwhile; on disk, where /tmp is memory on some systems."""
    if cache is not None:
        yield cache
        return
    try:
        make_folder(default_folder())
    except OutputError as error:
        raise OutputError(f"{error} with --cache DIR, or with XDG_CACHE_HOME") from error
    with TemporaryDirectory(prefix="evaluate-", dir=default_folder()) as folder:
        yield Path(folder)


def _evaluated(args: Namespace, chosen: Sequence[Chosen], folder: Path) -> Evaluator:
    """All models have heard, and all systems decoded."""
    size = survey(args.manifest)
    entries = list(with_text(read_manifest(args.manifest)))
    if not entries:
        raise ManifestError(
            f"{args.manifest}: holds no utterances to evaluate, expected JSON Lines with text"
        )
    options = EvaluationOptions(args.normalize, args.processes, Tokenizers(args.tokenizers))
    systems = [each.system for each in chosen]
    with _models(args, [system.model for system in systems], folder) as models:
        for each in chosen:
            each.warn_of(models[each.system.model].contract)
        texts = [normalized(text, args.normalize) for text in _references(entries)]
        for heard in models.values():
            warn_of_unwritable(texts, heard.contract)
        evaluator = Evaluator(args.manifest, entries, systems, models, options)
        for model in models:
            _run(shown(evaluator.hear(model), size))
    for system in systems:
        _run(tracked(evaluator.decode(system), f"Decoding {system.name}", evaluator.left))
    return evaluator


def _references(entries: Iterable[Entry]) -> Iterator[str]:
    return (
        str(entry.fields["text"]) for entry in entries if not isinstance(entry.item, ManifestError)
    )


@contextmanager
def _models(
    args: Namespace, names: Sequence[str], folder: Path
) -> Iterator[Mapping[str, AcousticModel]]:
    """The models on the server, each once, and connections to them meanwhile."""
    options = transport_options(args)
    with ExitStack() as stack:
        models: dict[str, AcousticModel] = {}
        for name in dict.fromkeys(names):
            transport = TritonTransport(urls_of(args), name, options)
            stack.enter_context(closing(transport))
            models[name] = AcousticModel(
                transport,
                args.in_flight,
                folder,
                audio_options(args),
                long_audio_options(args),
            )
        yield models


def _run(results: Iterable[tuple[Entry, Result]]) -> None:
    """Let it happen; report failures and warnings."""
    for entry, result in results:
        report(entry.name, result)
