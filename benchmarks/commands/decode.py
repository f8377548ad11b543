"""``decode``: our decoder and others on the same log_probs, one core each, in turns, in one run.

The log_probs are generated, or a model's on a server. All decoders share language model, alpha,
beta, beam width and pruning; then each has the fastest beam width of ``--scan`` whose word errors
are not above those of our decoder.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.decoders.comparison import OURS, Comparison, Plan, measure
from benchmarks.decoders.pools import measure_pools
from benchmarks.decoders.speech import Speech, describe_speech, load_speech
from benchmarks.decoders.tables import decoder_table, facts_table, pool_table
from benchmarks.generated_speech import GeneratedSpeech, SpeechOptions
from benchmarks.plots import OTHER_COLOR, OUR_COLOR, plot_bars
from benchmarks.report import write_report
from client.commands.argument_types import positive
from client.commands.parser import CommandParser
from client.commands.streams import tables
from client.decoding import BeamOptions
from client.language_models.convert import BinaryOptions
from client.language_models.spelling import Spelling
from client.language_models.train import TrainingOptions, train

PACKAGES: Final = ("numpy", "kenlm", "pyctcdecode", "flashlight-text")
BEAM_WIDTHS: Final = (8, 16, 32, 64, 128, 256)
TRAINING_SENTENCES: Final = 20_000


@dataclass(frozen=True)
class Source:
    """What to decode with which language model."""

    name: str
    speech: Speech
    lm: Path


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    _check(parser, parsed)
    with _source(parsed) as source:
        report = _measure(source, parsed)
    write_report(parsed.output, PACKAGES, ["decode", *arguments], report)
    return 0


def _measure(source: Source, parsed: argparse.Namespace) -> dict[str, Any]:
    """Measure, print and plot; returns the figures, ready for JSON."""
    weights = {name: getattr(parsed, name) for name in ("alpha", "beta", "beam_width")}
    options = BeamOptions(lm=source.lm, **weights)
    pruning = {name: getattr(options, name) for name in ("beam_prune_logp", "token_min_logp")}
    console = tables(sys.stdout)
    facts = describe_speech(source.name, source.speech, source.lm, options.token_min_logp)
    console.print(facts_table(facts))
    plan = Plan(tuple(parsed.scan), parsed.rounds)
    comparison = measure(source.speech, options, plan)
    settings = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    console.print(decoder_table(comparison, f"One core, {settings}, {parsed.rounds} rounds"))
    for name, reason in comparison.left_out.items():
        console.print(f"left out: {name}: {reason}")
    if parsed.plot is not None:
        _plot(comparison, f"{source.name}: {settings}", parsed.plot)
    pools = measure_pools(source.speech, options, parsed.processes, parsed.rounds)
    if pools:
        console.print(pool_table(pools))
    return {
        "speech": asdict(facts),
        "settings": {**weights, **pruning},
        **asdict(comparison),
        "pools": [asdict(figures) for figures in pools],
    }


def _plot(comparison: Comparison, title: str, path: Path) -> None:
    rows = {row.name: row for row in (*comparison.same_settings, *comparison.equal_errors)}
    bars = [
        (
            each.speed,
            f"{each.speed.rtfx:,.0f}, WER {each.wer:.2%}",
            OUR_COLOR if each.name.startswith(OURS) else OTHER_COLOR,
        )
        for each in rows.values()
    ]
    what = "seconds of audio decoded in a second on one core"
    plot_bars(bars, title, what, path, label_room=0.28)


@contextmanager
def _source(parsed: argparse.Namespace) -> Iterator[Source]:
    if not parsed.generated:
        speech = load_speech(parsed.url, parsed.model, [parsed.manifest])
        name = f"{parsed.model}, {parsed.manifest.name}"
        yield Source(name, speech, parsed.lm)
        return
    generated = GeneratedSpeech(SpeechOptions(seed=parsed.seed))
    speech = generated.first(parsed.utterances)
    sentences = generated.training_sentences(TRAINING_SENTENCES, frozenset(speech.references))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingOptions(held_out=0.0, binary=BinaryOptions("probing"))
        spelling = Spelling.of_contract(generated.contract)
        training = train(sentences, Path(folder) / "3-gram", spelling, options)
        lm = next(file for file in training.files if file.suffix == ".binary")
        yield Source(f"generated speech, seed {parsed.seed}", speech, lm)


def _check(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    served = {"--model": parsed.model, "--manifest": parsed.manifest, "--lm": parsed.lm}
    if parsed.generated and any(value is not None for value in served.values()):
        parser.error(f"{', '.join(served)}: are for --url, generated speech has its own")
    if missing := [flag for flag, value in served.items() if value is None and parsed.url]:
        parser.error(f"--url: needs {', '.join(missing)}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks decode", __doc__)
    source = parser.add_argument_group("what to decode")
    one = source.add_mutually_exclusive_group(required=True)
    one.add_argument("--generated", action="store_true", help="speech of 1,024 pieces, from a seed")
    one.add_argument("--url", help="server whose model makes the log_probs, once")
    add = source.add_argument
    add("--model", metavar="NAME", help="model on the server")
    add("--manifest", type=Path, metavar="M.jsonl", help="JSON Lines with text")
    add("--lm", type=Path, metavar="FILE", help="language model, ARPA or KenLM binary")
    add("--utterances", type=positive(int), default=200, help="to generate (%(default)s)")
    add("--seed", type=int, default=0, help="to generate from (%(default)s)")
    default = BeamOptions()
    add = parser.add_argument_group("how").add_argument
    add("--alpha", type=float, default=default.alpha, help="of the language model (%(default)s)")
    add("--beta", type=float, default=default.beta, help="bonus for each word (%(default)s)")
    add("--beam-width", type=positive(int), default=default.beam_width, help="%(default)s")
    widths = " ".join(map(str, BEAM_WIDTHS))
    add(
        "--scan",
        type=positive(int),
        nargs="*",
        default=BEAM_WIDTHS,
        metavar="W",
        help=f"beam widths to choose from at equal errors, none to leave that out ({widths})",
    )
    add("--rounds", type=positive(int), default=7, help="of turns (%(default)s)")
    add(
        "--processes",
        type=positive(int),
        nargs="+",
        default=[],
        metavar="N",
        help="measure pools of N processes too",
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="figures and circumstances")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="bar chart")
    return parser
