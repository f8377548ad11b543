"""``transcribe``: recordings to text, in the order given.

Text is a line for each recording, ``path<TAB>text``, whatever their number; a failed one keeps
its line with no text. JSON Lines keep the manifest's fields and add ``pred_text``, or ``error``.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from client.audio import Clip
from client.commands.arguments import (
    add_output,
    add_transcriber,
    check_decoding,
    open_transcriber,
)
from client.commands.streams import open_output, transcribe_entries
from client.manifest import Entry, count_entries, read_manifest
from client.transcriber import Result


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any recording failed."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if bool(args.audio) == (args.manifest is not None):
        parser.error("give either AUDIO files or --manifest")
    check_decoding(parser, args)
    total = count_entries(args.manifest) if args.manifest else len(args.audio)
    failed = 0
    with open_output(args.output) as output, open_transcriber(args) as transcriber:
        for entry, result in transcribe_entries(transcriber, _entries(args), total):
            output.write(_FORMATS[args.format](entry, result) + "\n")
            output.flush()
            failed += result.error is not None
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client transcribe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("audio", nargs="*", metavar="AUDIO", help="WAV, FLAC and other recordings")
    parser.add_argument("--manifest", type=Path, metavar="M.jsonl", help="JSON Lines as NeMo's")
    add_transcriber(parser)
    add_output(parser, tuple(_FORMATS))
    return parser


def _entries(args: argparse.Namespace) -> Iterable[Entry]:
    if args.manifest:
        return read_manifest(args.manifest)
    return (
        Entry(number, {"audio_filepath": path}, Clip(path))
        for number, path in enumerate(args.audio, start=1)
    )


def _text(entry: Entry, result: Result) -> str:
    text = "" if result.transcript is None else result.transcript.text
    return f"{entry.name}\t{text}"


def _json_line(entry: Entry, result: Result) -> str:
    line: dict[str, Any] = {**entry.fields}
    line.pop("pred_text", None)  # of an earlier run
    line.pop("error", None)
    if result.transcript is None:
        line["error"] = str(result.error)
    else:
        line.setdefault("duration", round(result.duration_s, 3))
        line["pred_text"] = result.transcript.text
    return json.dumps(line, ensure_ascii=False)


_FORMATS = {"text": _text, "jsonl": _json_line}
