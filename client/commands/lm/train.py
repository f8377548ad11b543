"""``lm train``: train a language model on text, written as an acoustic model writes.

Reads text files, one sentence a line (gzipped or not), and NeMo's manifests (.json, .jsonl).
Sets the case, maps apostrophes, drops punctuation that the acoustic model lacks, and leaves out
sentences with words that it cannot write, such as digits.

Writes PREFIX.arpa.gz, PREFIX.binary and PREFIX.words.txt. The model is the one that was measured:
the held-out sentences, and all copies of them, are not in it (--held-out 0: all are, and nothing
is measured).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from ...language_models.cases import WORD_CASES
from ...language_models.texts import Tally, read_texts
from ...language_models.train import SUFFIXES, Training, TrainingOptions, train
from ...utils.files import check_folder
from ..outputs import refuse_overwriting
from ..streams import messages
from .common import (
    add_binary_options,
    add_spelling,
    model_facts,
    print_facts,
    read_binary_options,
    read_spelling,
    size,
)
from .info import fit_facts

_SHOWN_CHARACTERS = 8


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when it fails, and then the files are as they were."""
    args = _parser().parse_args(arguments)
    options = TrainingOptions(
        args.order, tuple(args.prune), args.held_out, read_binary_options(args)
    )
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
    parser = argparse.ArgumentParser(
        prog="nemo-ctc lm train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "text", type=Path, nargs="+", metavar="TEXT", help="text file or manifest; before options"
    )
    parser.add_argument(
        "--output",
        type=_prefix,
        required=True,
        metavar="PREFIX",
        help="how the files' names begin; in a folder that exists, they are called lm",
    )
    add_spelling(parser, required=True)
    parser.add_argument(
        "--case",
        choices=WORD_CASES,
        help="case to write in (default: the acoustic model's; keep when it has both or none)",
    )
    parser.add_argument(
        "--order",
        type=int,
        default=default.order,
        metavar="N",
        help="words of the longest n-grams (default %(default)s)",
    )
    parser.add_argument(
        "--prune",
        type=int,
        nargs="+",
        default=default.prune,
        metavar="N",
        help="leave n-grams out that occur so often or less, for each order: 0 0 1 (default none)",
    )
    parser.add_argument(
        "--held-out",
        type=_held_out,
        default=default.held_out,
        metavar="FRACTION|FILE",
        help="measure with a share of the distinct sentences, or with these (default %(default)s)",
    )
    add_binary_options(parser)
    return parser


def _prefix(text: str) -> Path:
    path = Path(text)
    if text.endswith("/") and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder that exists")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is in no folder that exists")
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
        *((str(file), size(file.stat().st_size)) for file in training.files),
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
        return "none: nothing is measured, and every sentence is in the model"
    return f"{training.held_out.sentences:,} sentences, which are not in the model"
