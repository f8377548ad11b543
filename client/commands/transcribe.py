"""``transcribe``: recordings to text, in the order given.

Text is a line for each recording, ``path<TAB>text``, whatever their number; a failed one keeps
its line with no text. JSON Lines keep the manifest's fields and add ``pred_text``, ``words`` with
their times in seconds and confidence, of a beam search ``nbest`` with scores, or ``error``.
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
    open_transcriber,
    read_decoding,
)
from client.commands.streams import open_output, transcribe_entries
from client.manifest import Entry, count_entries, read_manifest
from client.transcriber import Result
from client.transcript import Hypothesis, Word

_OURS = ("pred_text", "words", "nbest", "error")


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any recording failed."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if bool(args.audio) == (args.manifest is not None):
        parser.error("give either AUDIO files or --manifest")
    preset = read_decoding(parser, args)
    total = count_entries(args.manifest) if args.manifest else len(args.audio)
    failed = 0
    with (
        open_output(args.output) as output,
        # Only JSON Lines show confidences, and they take a reply of log_probs instead of tokens.
        open_transcriber(args, preset, confidence=args.format == "jsonl") as transcriber,
    ):
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
    for name in _OURS:  # of an earlier run
        line.pop(name, None)
    if result.transcript is None:
        line["error"] = str(result.error)
    else:
        line.setdefault("duration", round(result.duration_s, 3))
        line["pred_text"] = result.transcript.text
        line["words"] = list(map(_word, result.transcript.words))
        if result.transcript.nbest:
            line["nbest"] = list(map(_hypothesis, result.transcript.nbest))
    return json.dumps(line, ensure_ascii=False)


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start_s, 3),
        "end": round(word.end_s, 3),
        "confidence": None if word.confidence is None else round(word.confidence, 4),
    }


def _hypothesis(hypothesis: Hypothesis) -> dict[str, Any]:
    return {
        "text": hypothesis.text,
        "score": round(hypothesis.score, 4),
        "acoustic_score": round(hypothesis.acoustic_score, 4),
        "language_model_score": round(hypothesis.language_model_score, 4),
    }


_FORMATS = {"text": _text, "jsonl": _json_line}
