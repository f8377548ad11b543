"""``weights``: word errors of decoders side by side, on one acoustic pass, with intervals.

Greedy decoding, the weights of the notebook that this project grew from, the defaults, and the best
of a preset's trials, with and without a list of the domain's words. With ``--seen``, sentences that
occur there are told apart: a language model may know them by heart.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.report import write_report
from benchmarks.speech import Speech, add_speech, speech_of
from client.commands.streams import tables
from client.decoding import BeamOptions, DecoderOptions, GreedyOptions, make_decoder
from client.decoding.preset import read_preset
from client.evaluation.metrics import difference_interval, errors_by_utterance, rate_interval
from client.language_models.texts import read_texts

NOTEBOOK: Final = BeamOptions(alpha=2.0, beta=1.5, beam_width=32)
PACKAGES: Final = ("kenlm", "numpy", "jiwer")


@dataclass(frozen=True)
class Accuracy:
    """Word errors of one decoder on one group of sentences; intervals hold 95 %."""

    decoder: str
    group: str
    utterances: int
    words: int
    errors: int
    interval: tuple[float, float]
    difference: tuple[float, float]
    """Interval of the rate minus that of the first decoder."""

    @property
    def rate(self) -> float:
        """Word error rate."""
        return self.errors / self.words


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    speech = speech_of(args)
    decoders = _decoders(args)
    results = measure(speech, decoders, _groups(speech, args.seen))
    _print(results)
    figures = {
        "checkpoint_sha256": speech.contract.checkpoint_sha256,
        "decoders": {name: _shown(options) for name, options in decoders.items()},
        "results": [{**asdict(result), "rate": result.rate} for result in results],
    }
    write_report(args.output, PACKAGES, ["weights", *arguments], figures)
    return 0


def measure(
    speech: Speech,
    decoders: Mapping[str, DecoderOptions],
    groups: Mapping[str, NDArray[np.bool_]],
) -> list[Accuracy]:
    """Errors of every decoder in every group; a group says which utterances are in it."""
    first: NDArray[Any] | None = None
    results = []
    for name, options in decoders.items():
        texts = speech.texts(make_decoder(speech.contract, options))
        errors = errors_by_utterance(speech.references, texts)  # [utterances, 2]
        first = errors if first is None else first
        for group, members in groups.items():
            if members.any():
                results.append(_accuracy(name, group, errors[members], first[members]))
    return results


def _accuracy(name: str, group: str, errors: NDArray[Any], first: NDArray[Any]) -> Accuracy:
    wrong, words = errors.sum(axis=0).tolist()
    return Accuracy(
        decoder=name,
        group=group,
        utterances=len(errors),
        words=words,
        errors=wrong,
        interval=rate_interval(errors),
        difference=difference_interval(errors, first),
    )


def _groups(speech: Speech, seen: Path | None) -> dict[str, NDArray[np.bool_]]:
    groups = {"all": np.ones(len(speech.references), bool)}
    if seen is not None:
        known = {" ".join(text.split()) for text in read_texts([seen])}
        sentences = (" ".join(reference.split()) for reference in speech.references)
        groups["not seen"] = np.array([sentence not in known for sentence in sentences])
    return groups


def _decoders(args: argparse.Namespace) -> dict[str, DecoderOptions]:
    defaults = BeamOptions(lm=args.lm)
    decoders: dict[str, DecoderOptions] = {
        "greedy": GreedyOptions(confidence=True),  # of log_probs, as the others
        "the notebook's weights": replace(NOTEBOOK, lm=args.lm),
        "defaults": defaults,
    }
    preset = read_preset(args.decoder_config)
    if preset.beam is None:
        return decoders
    # The best of the trials, also where the preset recommends the defaults instead.
    tuned = replace(preset.beam, lm=args.lm, **preset.tuning.get("tuned", {}))
    decoders["tuned"] = tuned
    if args.unigrams is not None:
        decoders["tuned, listed words"] = replace(tuned, unigrams=args.unigrams)
    return decoders


def _shown(options: DecoderOptions) -> dict[str, Any]:
    return {
        name: Path(value).name if isinstance(value, Path) else value
        for name, value in asdict(options).items()
        if value is not None
    }


def _print(results: Sequence[Accuracy]) -> None:
    greedy = {result.group: result for result in reversed(results)}
    table = Table(title="Word errors (95 % bootstrap intervals)")
    table.add_column("sentences")
    table.add_column("decoder", no_wrap=True)
    for heading in ("WER", "interval", "errors", "of", "against the first", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group, first in reversed(greedy.items()):
        table.add_section()
        for result in results:
            if result.group == group:
                low, high = result.interval
                change = result.errors / first.errors - 1 if first.errors else 0.0
                less, more = result.difference
                table.add_row(
                    f"{group} ({result.utterances})",
                    result.decoder,
                    f"{result.rate:.2%}",
                    f"{low:.2%} - {high:.2%}",
                    str(result.errors),
                    str(result.words),
                    f"{change:+.1%}",
                    f"{100 * less:+.2f} to {100 * more:+.2f} points",
                )
    tables(sys.stdout).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_speech(parser)
    add = parser.add_argument
    add("--lm", type=Path, required=True, metavar="FILE", help="language model")
    add("--decoder-config", type=Path, required=True, metavar="PRESET.json", help="tuned weights")
    add("--unigrams", type=Path, metavar="FILE", help="the domain's words, one a line")
    add("--seen", type=Path, metavar="FILE", help="text or manifest with sentences to tell apart")
    add("--output", type=Path, metavar="JSON", help="file for the figures and their circumstances")
    return parser
