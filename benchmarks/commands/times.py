"""``times``: word times of the decoders against a forced alignment of the reference.

The alignment is that of the same ``log_probs`` (:mod:`client.decoding.alignment`). Words that were
heard right are compared. A reference has one spelling in characters; in pieces it has many, so
only utterances that were heard right are compared there, in the decoder's own pieces.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.errors import SpeechError
from benchmarks.report import write_report
from benchmarks.speech import Speech, add_speech, speech_of
from client.commands.streams import tables
from client.decoding import BeamOptions, Decoder, DecoderOptions, GreedyOptions, make_decoder
from client.decoding.alignment import align
from client.decoding.runs import Clock
from client.evaluation.metrics import matched_words
from client.transcript import Transcript, Word
from client.vocabulary import Detokenizer

PACKAGES: Final = ("kenlm", "numpy", "jiwer")


@dataclass(frozen=True)
class Deviation:
    """How far a decoder's times are from the alignment's, in frames."""

    decoder: str
    edge: str
    words: int
    median: float
    mean: float
    percentile_95: float
    largest: float


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    args = _parser().parse_args(arguments)
    speech = speech_of(args)
    decoders: dict[str, DecoderOptions] = {
        "greedy": GreedyOptions(confidence=True),
        "beam": BeamOptions(lm=args.lm, alpha=args.alpha, beta=args.beta),
    }
    results = [
        deviation
        for name, options in decoders.items()
        for deviation in measure(speech, name, make_decoder(speech.contract, options))
    ]
    _print(results)
    figures = {
        "checkpoint_sha256": speech.contract.checkpoint_sha256,
        "frame_stride_s": speech.contract.frame_stride_s,
        "results": [asdict(result) for result in results],
    }
    write_report(args.output, PACKAGES, ["times", *arguments], figures)
    return 0


def measure(speech: Speech, name: str, decoder: Decoder) -> list[Deviation]:
    """The deviations of a decoder's starts and ends."""
    pairs = [
        pair
        for log_probs, reference in zip(speech.log_probs, speech.references, strict=True)
        for pair in _pairs(speech, log_probs, reference, decoder.decode(log_probs))
    ]
    if not pairs:
        raise SpeechError(f"{name}: no word was heard right, there are no times to compare")
    stride_s = speech.contract.frame_stride_s
    starts = np.array([abs(ours.start_s - aligned.start_s) for ours, aligned in pairs]) / stride_s
    ends = np.array([abs(ours.end_s - aligned.end_s) for ours, aligned in pairs]) / stride_s
    return [_deviation(name, "start", starts), _deviation(name, "end", ends)]


def _pairs(
    speech: Speech, log_probs: NDArray[Any], reference: str, heard: Transcript
) -> Iterator[tuple[Word, Word]]:
    contract = speech.contract
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    if detokenizer.in_pieces:
        if heard.text.split() != reference.split():
            return
        tokens = [detokenizer.labels.index(token.text) for token in heard.tokens]
    else:
        tokens = [contract.vocabulary.index(character) for character in reference]
    runs = align(log_probs, tokens, contract.blank)
    aligned = Clock(detokenizer, contract.frame_stride_s).words(runs, np.inf)
    for expected, found in matched_words(reference, heard.text):
        yield heard.words[found], aligned[expected]


def _deviation(name: str, edge: str, frames: NDArray[Any]) -> Deviation:
    return Deviation(
        decoder=name,
        edge=edge,
        words=len(frames),
        median=round(float(np.median(frames)), 3),
        mean=round(float(frames.mean()), 3),
        percentile_95=round(float(np.percentile(frames, 95)), 3),
        largest=round(float(frames.max()), 3),
    )


def _print(results: Sequence[Deviation]) -> None:
    table = Table(title="Word times against a forced alignment, in frames")
    for heading in ("decoder", "edge", "words", "median", "mean", "95 %", "largest"):
        table.add_column(heading, no_wrap=True)
    for result in results:
        table.add_row(
            *(
                f"{value:g}" if isinstance(value, float) else str(value)
                for value in asdict(result).values()
            )
        )
    tables(sys.stdout).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_speech(parser)
    add = parser.add_argument
    add("--lm", type=Path, required=True, metavar="FILE", help="language model of the beam search")
    add("--alpha", type=float, default=BeamOptions.alpha, help="default %(default)s")
    add("--beta", type=float, default=BeamOptions.beta, help="default %(default)s")
    add("--output", type=Path, metavar="JSON", help="file for the figures and their circumstances")
    return parser
