"""``hotwords``: words that the language model lacks, found with and without a hotword.

For each word a language model is trained on the texts without the sentences that hold it; then the
speech is decoded without a hotword, and with one of each weight. What the hotword does to the
others counts as well: how often it is heard where it was not said, and the word errors of the
utterances that do not hold it.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.errors import SpeechError
from benchmarks.report import write_report
from benchmarks.speech import Speech, add_speech, speech_of
from client.commands.streams import tables
from client.decoding import BeamOptions, Hotword, make_decoder
from client.evaluation.metrics import matched_words, word_errors
from client.language_models.spelling import Spelling
from client.language_models.texts import read_texts
from client.language_models.train import TrainingOptions, train

PACKAGES: Final = ("kenlm", "numpy", "jiwer")
_WEIGHTS: Final = (3.0, BeamOptions.hotword_weight, 10.0, 20.0)


@dataclass(frozen=True)
class Found:
    """One word decoded with one weight, ``None`` without a hotword.

    ``found`` of ``said`` occurrences were heard; ``false`` ones were heard and not said.
    ``other_errors`` of ``other_words`` are those of the utterances that do not hold the word.
    """

    word: str
    weight: float | None
    said: int
    found: int
    false: int
    other_errors: int
    other_words: int


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    args = _parser().parse_args(arguments)
    speech = speech_of(args)
    words = args.word or frequent_words(speech.references, args.most, args.least)
    options = BeamOptions(alpha=args.alpha, beta=args.beta)
    texts = list(read_texts(args.text))
    console = Console(stderr=True)
    results = [
        result
        for word in track(words, "words", console=console, disable=not console.is_terminal)
        for result in measure(speech, word, texts, options, args.weight or _WEIGHTS)
    ]
    _print(results)
    figures = {
        "checkpoint_sha256": speech.contract.checkpoint_sha256,
        "results": [asdict(result) for result in results],
    }
    write_report(args.output, PACKAGES, ["hotwords", *arguments], figures)
    return 0


def frequent_words(references: Iterable[str], most: int, least: int) -> list[str]:
    """The ``most`` words, of two letters or more, that ``least`` utterances or more hold."""
    held = Counter(word for text in references for word in set(text.split()) if len(word) > 1)
    ranked = sorted(held, key=lambda word: (-held[word], word))
    words = [word for word in ranked[:most] if held[word] >= least]
    if not words:
        raise SpeechError(f"no word is in {least} utterances or more: name some with --word")
    return words


def measure(
    speech: Speech, word: str, texts: Iterable[str], options: BeamOptions, weights: Iterable[float]
) -> list[Found]:
    """What becomes of one word, without hotword and with one of each weight."""
    without = (text for text in texts if word not in text.split())
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "lm"
        train(without, prefix, Spelling.of_contract(speech.contract), TrainingOptions(held_out=0))
        options = replace(options, lm=Path(f"{prefix}.binary"))
        chosen = {weight: (Hotword(word, weight),) for weight in weights}
        return [
            _found(speech, word, weight, replace(options, hotwords=hotwords))
            for weight, hotwords in ({None: ()} | chosen).items()
        ]


def _found(speech: Speech, word: str, weight: float | None, options: BeamOptions) -> Found:
    texts = speech.texts(make_decoder(speech.contract, options))
    pairs = list(zip(speech.references, texts, strict=True))
    said = sum(reference.split().count(word) for reference, _ in pairs)
    heard = sum(text.split().count(word) for _, text in pairs)
    found = sum(
        reference.split()[place] == word
        for reference, text in pairs
        for place, _ in matched_words(reference, text)
    )
    others = [(reference, text) for reference, text in pairs if word not in reference.split()]
    errors = word_errors([pair[0] for pair in others], [pair[1] for pair in others])
    return Found(word, weight, said, found, heard - found, errors.errors, errors.reference)


def _print(results: Sequence[Found]) -> None:
    weights = list(dict.fromkeys(result.weight for result in results))
    table = Table(
        title="Found of said, + heard and not said, errors of the utterances without the word"
    )
    table.add_column("word", no_wrap=True)
    for weight in weights:
        heading = "no hotword" if weight is None else f"weight {weight:g}"
        table.add_column(heading, justify="right", no_wrap=True)
    words = dict.fromkeys(result.word for result in results)
    for word in words:
        rows = [result for result in results if result.word == word]
        table.add_row(word, *map(_cell, rows))
    table.add_section()
    table.add_row("all", *(_cell(*(r for r in results if r.weight == w)) for w in weights))
    tables(sys.stdout).print(table)


def _cell(*results: Found) -> str:
    found, said = sum(r.found for r in results), sum(r.said for r in results)
    false, errors = sum(r.false for r in results), sum(r.other_errors for r in results)
    return f"{found}/{said} +{false}, {errors}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks hotwords",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_speech(parser)
    add = parser.add_argument
    add("--text", type=Path, required=True, nargs="+", metavar="FILE", help="to train models on")
    add("--word", action="append", metavar="WORD", help="a word to measure; may be repeated")
    add("--most", type=int, default=12, help="else that many frequent words (%(default)s)")
    add("--least", type=int, default=3, help="in at least so many utterances (%(default)s)")
    add("--weight", type=float, action="append", help=f"hotword weights (default {_WEIGHTS})")
    add("--alpha", type=float, default=BeamOptions.alpha, help="default %(default)s")
    add("--beta", type=float, default=BeamOptions.beta, help="default %(default)s")
    add("--output", type=Path, metavar="JSON", help="file for the figures and their circumstances")
    return parser
