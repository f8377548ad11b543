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

from rich.table import Table
from rich.text import Text

from benchmarks.decoders.comparison import OURS, Comparison, measure
from benchmarks.decoders.speech import Speech, SpeechFacts, describe_speech, load_speech
from benchmarks.generated_speech import GeneratedSpeech, SpeechOptions
from benchmarks.plots import OTHER_COLOR, OUR_COLOR, plot_bars
from benchmarks.report import Cells, write_report
from benchmarks.tables import rich_table, spread_cells
from client.commands.parser import CommandParser, positive
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
    console.print(_facts(facts))
    comparison = measure(source.speech, options, parsed.scan, parsed.rounds)
    settings = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    console.print(_decoders(comparison, f"One core, {settings}, {parsed.rounds} rounds"))
    for name, reason in comparison.left_out.items():
        console.print(f"left out: {name}: {reason}")
    if parsed.plot is not None:
        _plot(comparison, f"{source.name}: {settings}", parsed.plot)
    return {
        "speech": asdict(facts),
        "settings": {**weights, **pruning},
        **asdict(comparison),
    }


def _facts(facts: SpeechFacts) -> Table:
    rows = {
        "utterances, words": f"{facts.utterances:,}, {facts.words:,}",
        "audio": f"{facts.audio_s:,.0f} s",
        "frames x tokens": f"{facts.frames:,} x {facts.tokens:,}",
        "best token is the blank": f"{facts.blank_share:.1%} of the frames",
        "blank alone after pruning": f"{facts.only_blank_share:.1%} of the frames",
        "candidates": f"{facts.candidates_per_frame:.2f} a frame",
        "greedy word errors": f"{facts.greedy_errors} ({facts.greedy_wer:.2%})",
        "language model's perplexity": f"{facts.perplexity:.0f}",
    }
    return rich_table(Cells(("", ""), list(rows.items())), facts.name)


def _decoders(comparison: Comparison, title: str) -> Table:
    """The decoders with the same settings, and at equal errors."""
    headings = "RTFx,quartiles,ratio,errors,WER,95 %,ms mean,p50,p95,p99".split(",")
    table = rich_table(Cells(("", *headings), ()), title)
    groups = {
        "same settings": comparison.same_settings,
        "no more errors than ours": comparison.equal_errors,
    }
    for heading, figures in groups.items():
        if not figures:
            continue
        table.add_section()
        table.add_row(Text(heading, style="bold"))
        for each in figures:
            speed, (low, high) = each.speed, each.wer_interval
            table.add_row(
                each.name,
                *spread_cells(speed.rtfx, speed.rtfx_low, speed.rtfx_high, digits=0),
                f"{speed.ratio:.2f}",
                str(each.errors),
                f"{each.wer:.2%}",
                f"{low:.1%} - {high:.1%}",
                *(f"{time:.2f}" for time in (each.mean_ms, each.p50_ms, each.p95_ms, each.p99_ms)),
            )
    return table


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
    what = f"beam widths to choose from at equal errors, none to leave that out ({widths})"
    add("--scan", type=positive(int), nargs="*", default=BEAM_WIDTHS, metavar="W", help=what)
    add("--rounds", type=positive(int), default=7, help="of turns (%(default)s)")
    parser.add_argument("--output", type=Path, metavar="JSON", help="figures and circumstances")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="bar chart")
    return parser
