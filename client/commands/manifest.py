"""``manifest``: write a manifest of audio and transcripts, or check one.

Transcripts may be:

  folders      a folder of .txt files named as the recordings, which are there or in --audio
  librispeech  a tree with *.trans.txt, lines of UTTERANCE TEXT
  kaldi        a folder with wav.scp and text, and optionally segments and utt2spk
  sphinx       NAME.fileids with NAME.transcription, lines of <s> TEXT </s> (ID)
  table        a .csv or .tsv file with a header, such as Common Voice's

The command finds recordings in --audio by path, or else by name anywhere below it, opens each and
measures it. It names on standard error what it leaves out, and then the exit status is 1. It prints
a summary on standard output. Texts keep case and punctuation.

--check opens the recordings of an existing manifest, and compares durations, pieces, texts and
duplicates. --model adds the characters that the model cannot write, and the utterances that are too
long or too short for it.
"""

import sys
import unicodedata
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import ManifestError, OutputError
from ..manifests.manifest import read_manifest, survey
from ..manifests.sources import (
    KINDS,
    Measured,
    ModelFit,
    Problem,
    Source,
    Summary,
    guess_kind,
    manifest_line,
    measured,
    read_existing,
    read_source,
)
from ..manifests.sources.table import AUDIO_COLUMNS, TEXT_COLUMNS
from ..utils.shortened import shortened
from ..wire.transport import TritonTransport
from .flags import flags
from .outputs import output_path
from .parser import CommandParser
from .progress import clock
from .server import add_server, connecting_options, urls_of
from .streams import messages, open_output, print_facts, warn

_SHOWN_CHARACTERS: Final = 200
_LOOKED_AT: Final = 10
_FOR_SOURCES: Final = (
    "audio", "transcripts", "output", "kind", "audio_column", "text_column", "lower",
    "allow_missing",
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when anything was left out or does not hold."""
    parser = _parser()
    args = parser.parse_args(arguments)
    _check(parser, args)
    fit = _model_fit(args)
    summary = Summary()
    if args.check:
        _compare(args.check, summary, fit)
    else:
        _write(args, summary, fit)
    print_facts((*_facts(summary), *_fit_facts(args.model, fit)), sys.stdout)
    return 1 if summary.left_out and not args.allow_missing else 0


def _write(args: Namespace, summary: Summary, fit: ModelFit | None) -> None:
    transcripts: Path = args.transcripts or args.audio
    folder = transcripts if transcripts.is_dir() else transcripts.parent
    kind = args.kind or guess_kind(transcripts)
    if kind != "table" and (args.audio_column or args.text_column):
        raise ManifestError(
            f"--audio-column and --text-column are for a table, {transcripts} is read as {kind}"
        )
    source = Source(args.audio or folder, transcripts, args.audio_column, args.text_column)
    _check_output(args.output)
    with open_output(args.output) as output:
        found = measured(read_source(source, kind, args.lower or "keep"))
        for each in _counted(found, summary, fit, None):
            output.write(manifest_line(each, args.output.parent))
        if not summary.durations_s:
            raise ManifestError(
                f"{transcripts}: gives no utterance (read as {kind}), expected audio with "
                "transcripts: check --audio, --transcripts and --kind"
            )


def _check_output(path: Path) -> None:
    """Raise ``OutputError`` for a file that is no manifest: audio, or transcripts."""
    if not path.is_file() or not path.stat().st_size:
        return
    with suppress(ManifestError):
        if any(entry.fields for entry in islice(read_manifest(path), _LOOKED_AT)):
            return
    raise OutputError(
        f"{path}: exists and is not a manifest, and only manifests are overwritten: choose another "
        "--output"
    )


def _compare(manifest: Path, summary: Summary, fit: ModelFit | None) -> None:
    size = survey(manifest)
    total = None if size is None else size.entries
    for _ in _counted(measured(read_existing(manifest)), summary, fit, total):
        pass
    if not (summary.durations_s or summary.left_out):
        raise ManifestError(f"{manifest}: holds no utterances, expected JSON Lines")


def _counted(
    found: Iterable[Measured | Problem], summary: Summary, fit: ModelFit | None, total: int | None
) -> Iterator[Measured]:
    """The utterances that are in; what is left out, and what the model refuses, is reported."""
    for each in _shown(found, total):
        summary.add(each)
        if isinstance(each, Problem):
            messages.print(f"error: {each.where}: {each.reason}")
            continue
        refused = fit.add(each) if fit else ""
        if refused:
            warn(f"{each.utterance.where}: {shortened(each.utterance.audio)} {refused}")
        yield each


def _shown(found: Iterable[Measured | Problem], total: int | None) -> Iterator[Measured | Problem]:
    """What is found, counted in a terminal; sources do not tell their ``total``."""
    columns = (
        TextColumn("Measuring"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TextColumn("{task.fields[audio]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left_out]}", style="red"),
    )
    audio_s, left_out = 0.0, 0
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        task = progress.add_task("", total=total, audio="", left_out="")
        for each in found:
            if isinstance(each, Problem):
                left_out += 1
            else:
                audio_s += each.duration_s
            told = f"{left_out:,} left out" if left_out else ""
            progress.update(task, advance=1, audio=clock(audio_s), left_out=told)
            yield each


def _model_fit(args: Namespace) -> ModelFit | None:
    if args.model is None:
        return None
    options = connecting_options(args)
    with closing(TritonTransport(urls_of(args), args.model, options)) as transport:
        return ModelFit(transport.contract)


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    durations_s = summary.durations_s
    yield "entries", f"{len(durations_s):,}"
    if durations_s:
        yield "audio", f"{clock(summary.audio_s)} ({summary.audio_s / 3600:.2f} hours)"
        yield "shortest", f"{min(durations_s):.2f} s"
        yield "median", f"{summary.median_s:.2f} s"
        yield "longest", f"{max(durations_s):.2f} s"
    if summary.without_text:
        yield "without text", f"{summary.without_text:,}"
    if summary.characters:
        yield f"{len(summary.characters):,} characters", _counts(summary.characters)
    for fault, count in summary.left_out.items():
        yield fault, f"{count:,}"


def _fit_facts(model: str | None, fit: ModelFit | None) -> Iterator[tuple[str, str]]:
    if fit is None:
        return
    if fit.unwritable_characters:
        counts = _counts(fit.unwritable_characters)
        yield (
            f"not in {model}'s characters",
            f"{counts} (texts with them: {fit.unwritable_texts:,})",
        )
    if fit.too_long:
        yield f"too long for {model}", f"{fit.too_long:,} of more than {fit.longest_s:g} s"
    if fit.too_short:
        yield f"too short for {model}", f"{fit.too_short:,} of less than {fit.shortest_s:g} s"
    if not (fit.unwritable_characters or fit.too_long or fit.too_short):
        yield f"fits {model}", "yes"


def _counts(characters: Counter[str]) -> str:
    """Each character with its count, the most frequent first."""
    ordered = sorted(characters.items(), key=lambda item: (-item[1], item[0]))
    told = "  ".join(
        f"{_name(character)}:{count:,}" for character, count in ordered[:_SHOWN_CHARACTERS]
    )
    more = len(ordered) - _SHOWN_CHARACTERS
    return told if more <= 0 else f"{told}  … {more:,} more"


def _name(character: str) -> str:
    """The character, or what to call one that could not be seen."""
    if character == " ":
        return "space"
    visible = character.isprintable() and not unicodedata.combining(character)
    return character if visible else f"U+{ord(character):04X}"


def _check(parser: ArgumentParser, args: Namespace) -> None:
    """Exit with a usage error where arguments do not go together."""
    if args.check is not None:
        given = [name for name in _FOR_SOURCES if getattr(args, name)]
        if given:
            parser.error(f"{flags(given)}: cannot be used with --check")
        return
    if args.output is None or not (args.audio or args.transcripts):
        parser.error("expected --output with --audio, --transcripts or both; or --check")


def _parser() -> ArgumentParser:
    parser = CommandParser("nemo-ctc manifest", __doc__)
    add = parser.add_argument
    add("--audio", type=Path, metavar="DIR", help="the recordings (default: where transcripts are)")
    text = "folder or file of the transcripts (default: --audio)"
    add("--transcripts", type=Path, metavar="PATH", help=text)
    add("--output", type=output_path, metavar="M.jsonl", help="the manifest to write")
    add("--kind", choices=KINDS, help="format of the transcripts (default: detected)")
    for name, usual in (("audio", AUDIO_COLUMNS), ("text", TEXT_COLUMNS)):
        parser.add_argument(
            f"--{name}-column",
            metavar="NAME",
            help=f"table: the column with the {name} (default: the first of {', '.join(usual)})",
        )
    for flag, case, what in (
        ("--lower", "lower", "lower case"),
        ("--lower-tr", "lower-tr", "Turkish lower case: I becomes the i without a dot"),
    ):
        parser.add_argument(
            flag, dest="lower", action="store_const", const=case, help=f"put texts in {what}"
        )
    text = "exit with status 0 even if something is left out"
    add("--allow-missing", action="store_true", help=text)
    add("--check", type=Path, metavar="M.jsonl", help="check this manifest instead")
    add("--model", metavar="NAME", help="also check against this model of the server")
    add_server(parser)
    return parser
