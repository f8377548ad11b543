"""``lm train``: train a language model on text, written as an acoustic model writes.

TEXT is a text file with one sentence a line, gzipped or not, or a NeMo manifest (.json, .jsonl).
The command sets the case, maps apostrophes, drops punctuation that the acoustic model lacks, and
leaves out sentences with words that it cannot write, such as digits.

It writes PREFIX.arpa.gz, PREFIX.binary and PREFIX.words.txt. The held-out sentences, on which the
model is measured, and all copies of them stay out of the model; with --held-out 0 it is trained on
all sentences and not measured.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.filesize import decimal
from rich.progress import Progress

from ...language_models.cases import WORD_CASES
from ...language_models.convert import BinaryOptions
from ...language_models.texts import Tally, read_texts
from ...language_models.train import SUFFIXES, Training, TrainingOptions, train
from ...utils.files import check_folder
from ..outputs import refuse_overwriting
from ..parser import CommandParser
from ..streams import messages, print_facts
from .common import add_binary_options, add_spelling, model_facts, read_spelling
from .info import fit_facts

_SHOWN_CHARACTERS = 8


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when it fails, and then the files are as they were."""
    args = _parser().parse_args(arguments)
    binary = BinaryOptions(args.type, args.quantize, args.memory)
    options = TrainingOptions(args.order, tuple(args.prune), args.held_out, binary)
    prefix = args.output / "lm" if args.output.is_dir() else args.output
    check_folder(prefix.parent)
    held_out = args.held_out if isinstance(args.held_out, Path) else None
    outputs = (Path(f"{prefix}{suffix}") for suffix in SUFFIXES)
    refuse_overwriting(outputs, [*args.text, held_out])
    spelling = read_spelling(args, args.case)
    start_s = time.perf_counter()
    with Progress(console=messages, disable=not messages.is_terminal) as progress:
        texts = progress.track(read_texts(args.text), description="Training")
        training = train(texts, prefix, spelling, options)
    facts = [*_facts(training), ("time", f"{time.perf_counter() - start_s:.1f} s")]
    print_facts(facts, sys.stdout)
    return 0


def _parser() -> argparse.ArgumentParser:
    default = TrainingOptions()
    parser = CommandParser("nemo-ctc lm train", __doc__)
    add = parser.add_argument
    text = "text files or manifests; give them before the options"
    add("text", type=Path, nargs="+", metavar="TEXT", help=text)
    text = "start of the names of the files; for a folder that exists, they are called lm"
    add("--output", type=_prefix, required=True, metavar="PREFIX", help=text)
    add_spelling(parser, required=True)
    text = "case of the words (default: the acoustic model's; keep when it has both or none)"
    add("--case", choices=WORD_CASES, help=text)
    text = "number of words in the longest n-grams (default %(default)s)"
    add("--order", type=int, default=default.order, metavar="N", help=text)
    text = "for each order, drop n-grams that occur at most N times, as in 0 0 1 (default: none)"
    add("--prune", type=int, nargs="+", default=default.prune, metavar="N", help=text)
    text = "measure on this share of the distinct sentences, or on a file (default %(default)s)"
    add("--held-out", type=_held_out, default=default.held_out, metavar="FRACTION|FILE", help=text)
    add_binary_options(parser)
    return parser


def _prefix(text: str) -> Path:
    path = Path(text)
    if text.endswith("/") and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this folder does not exist")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: its folder does not exist")
    return path


def _held_out(text: str) -> float | Path:
    try:
        return float(text)
    except ValueError:
        return Path(text)


def _facts(training: Training) -> list[tuple[str, str]]:
    return [
        ("trained on", f"{training.trained_sentences:,} sentences"),
        ("left out", _left_out(training.tally)),
        *model_facts(training.header.counts),
        *(fit_facts(training.held_out) if training.held_out.sentences else []),
        ("held out", _held_out_fact(training)),
        *((str(file), decimal(file.stat().st_size)) for file in training.files),
    ]


def _left_out(tally: Tally) -> str:
    if not tally.skipped_sentences:
        return "none: the acoustic model can write all"
    characters = tally.unwritable_characters.most_common(_SHOWN_CHARACTERS)
    shown = ", ".join(f"{character!r} ({n:,})" for character, n in characters)
    return (
        f"{tally.skipped_sentences:,} sentences for {tally.unwritable_words:,} words with"
        f" characters that the acoustic model cannot write: {shown}"
    )


def _held_out_fact(training: Training) -> str:
    if not training.held_out.sentences:
        return "none: the model has every sentence, and is not measured"
    return f"{training.held_out.sentences:,} sentences, which are not in the model"
