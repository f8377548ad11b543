"""``evaluate``: transcribe a manifest and compare with its ``text``.

Prints word and character error rates with their counts, what failed, how fast it went, and the
wrong utterances, reference over hypothesis. Failed utterances are not in the rates: they are
counted apart, and the exit status is 1.
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from rich.table import Table

from client.commands.arguments import (
    add_output,
    add_transcriber,
    open_transcriber,
    read_decoding,
)
from client.commands.progress import shown
from client.commands.streams import open_output, tables, transcribe_entries
from client.errors import ManifestError
from client.manifest import Entry, read_manifest, survey, with_text
from client.metrics import ErrorCounts, character_errors, side_by_side, word_errors
from client.transcriber import Result

_DEFAULT_SHOWN = 20


@dataclass(frozen=True)
class Report:
    """What an evaluation found: ``scored`` holds name, reference and hypothesis."""

    scored: tuple[tuple[str, str, str], ...]
    failures: tuple[tuple[str, str], ...]
    audio_s: float
    elapsed_s: float

    @cached_property
    def words(self) -> ErrorCounts:
        """Word errors of the utterances that were transcribed."""
        return word_errors([row[1] for row in self.scored], [row[2] for row in self.scored])

    @cached_property
    def characters(self) -> ErrorCounts:
        """Character errors of the utterances that were transcribed."""
        return character_errors([row[1] for row in self.scored], [row[2] for row in self.scored])

    @property
    def rtfx(self) -> float:
        """Audio seconds transcribed in a second, reading and decoding included."""
        return self.audio_s / self.elapsed_s


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any utterance failed."""
    parser = _parser()
    args = parser.parse_args(arguments)
    preset = read_decoding(parser, args)
    size = survey(args.manifest)
    with open_output(args.output) as output:
        with open_transcriber(args, preset) as transcriber:
            start_s = time.perf_counter()
            entries = with_text(read_manifest(args.manifest))
            report = _report(shown(transcribe_entries(transcriber, entries), size), start_s)
        if not report.scored and not report.failures:
            raise ManifestError(
                f"{args.manifest}: holds no utterances to evaluate, expected JSON Lines with text"
            )
        if args.format == "json":
            output.write(json.dumps(_as_json(report), ensure_ascii=False) + "\n")
        else:
            _print(report, args.show_errors, output)
    return 1 if report.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="M.jsonl", help="JSON Lines with text"
    )
    add_transcriber(parser)
    add_output(parser, ("text", "json"))
    parser.add_argument(
        "--show-errors",
        type=_number,
        default=_DEFAULT_SHOWN,
        metavar="N",
        help="wrong utterances to print (default %(default)s)",
    )
    return parser


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of utterances, expected 0 or more")
    return int(text)


def _report(pairs: Iterable[tuple[Entry, Result]], start_s: float) -> Report:
    scored: list[tuple[str, str, str]] = []
    failures: list[tuple[str, str]] = []
    audio_s = 0.0
    for entry, result in pairs:
        if result.transcript is None:
            failures.append((entry.name, str(result.error)))
        else:
            scored.append((entry.name, entry.fields["text"], result.transcript.text))
            audio_s += result.duration_s
    return Report(tuple(scored), tuple(failures), audio_s, time.perf_counter() - start_s)


def _as_json(report: Report) -> dict[str, Any]:
    words, characters = report.words, report.characters
    return {
        "wer": words.rate if report.scored else None,
        "cer": characters.rate if report.scored else None,
        "words": {**asdict(words), "reference": words.reference},
        "characters": {**asdict(characters), "reference": characters.reference},
        "utterances": len(report.scored),
        "failed": len(report.failures),
        "failures": [{"name": name, "error": error} for name, error in report.failures],
        "audio_s": round(report.audio_s, 3),
        "elapsed_s": round(report.elapsed_s, 3),
        "rtfx": round(report.rtfx, 2),
    }


def _print(report: Report, shown: int, output: TextIO) -> None:
    console = tables(output)
    table = Table("", "rate", "errors", "substituted", "deleted", "inserted", "right", "reference")
    for name, counts in (("WER", report.words), ("CER", report.characters)):
        table.add_row(
            name,
            f"{counts.rate:.2%}" if report.scored else "n/a",
            *map(
                str,
                (
                    counts.errors,
                    counts.substitutions,
                    counts.deletions,
                    counts.insertions,
                    counts.hits,
                    counts.reference,
                ),
            ),
        )
    console.print(table)
    output.write(
        f"{len(report.scored)} utterances, {len(report.failures)} failed; {report.audio_s:.1f} s "
        f"of audio in {report.elapsed_s:.1f} s (RTFx {report.rtfx:.1f})\n"
    )
    wrong = [row for row in report.scored if row[1].split() != row[2].split()]
    for name, reference, hypothesis in wrong[:shown]:
        expected, found = side_by_side(reference, hypothesis)
        output.write(f"\n{name}\n  reference   {expected}\n  hypothesis  {found}\n")
    if len(wrong) > shown:
        output.write(f"\n… {len(wrong) - shown} more wrong utterances (--show-errors N)\n")
