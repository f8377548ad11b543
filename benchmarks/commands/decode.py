"""``decode``: our beam search and other decoders on the same log_probs, in turns, in one run.

Speed is seconds of audio that one core decodes in a second of its time, the median of the rounds;
word errors stand beside it. Settings are with a 3-gram, without a language model, with hotwords,
and on doubtful audio (flattened log_probs); decoders share weights, beam width and pruning. A
decoder that lacks a feature is left out there. Ours is also timed in two threads, and its memory
watched over many utterances.

Speech is generated; with --url, that of a model on a server is measured too.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from benchmarks.decoders.comparison import Comparison, compare
from benchmarks.decoders.ours import memory, two_threads
from benchmarks.decoders.peers import OURS
from benchmarks.decoders.settings import TEMPERATURE, as_doubtful, settings
from benchmarks.decoders.speech import Speech, SpeechFacts, describe_speech, load_speech
from benchmarks.generated_speech import GeneratedSpeech
from benchmarks.plots import OTHER_COLOR, OUR_COLOR, plot_bars
from benchmarks.report import Cells, write_report
from benchmarks.tables import rich_table, spread_cells
from client.commands.parser import CommandParser
from client.commands.streams import tables
from client.decoding import BeamOptions
from client.language_models.convert import BinaryOptions
from client.language_models.spelling import Spelling
from client.language_models.train import TrainingOptions, train

PACKAGES: Final = (
    "numpy",
    "nemo-ctc-search",
    "kenlm",
    "pyctcdecode",
    "ctc-beam-decoder",
    "flashlight-text",
)
TRAINING_SENTENCES: Final = 20_000


@dataclass(frozen=True)
class Effort:
    """How much is measured; ``doubtful`` audio is the first one of so many utterances."""

    utterances: int
    rounds: int
    in_memory: int
    doubtful: int = 8


FULL: Final = Effort(utterances=200, rounds=5, in_memory=20_000)
SHORT: Final = Effort(utterances=16, rounds=2, in_memory=1_200)


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
    served = {"--model": parsed.model, "--manifest": parsed.manifest, "--lm": parsed.lm}
    if parsed.url and (missing := [flag for flag, value in served.items() if value is None]):
        parser.error(f"--url: needs {', '.join(missing)}")
    if not parsed.url and any(value is not None for value in served.values()):
        parser.error(f"{', '.join(served)}: are for --url")
    effort = SHORT if parsed.short else FULL
    found = []
    with _generated(effort) as source:
        found.append(_measure(source, effort, parsed.plot))
    if parsed.url:
        name, speech = f"{parsed.model}, {parsed.manifest.name}", _served(parsed)
        found.append(_measure(Source(name, speech, parsed.lm), effort, None))
    write_report(parsed.output, PACKAGES, ["decode", *arguments], {"measured": found})
    return 0


def _measure(source: Source, effort: Effort, plot: Path | None) -> dict[str, Any]:
    """Measure, print and plot; returns the figures, ready for JSON."""
    console, options = tables(sys.stdout), BeamOptions()
    pruning = options.token_min_logp
    some = source.speech.part(max(1, len(source.speech.references) // effort.doubtful))
    doubtful = as_doubtful(some)
    facts = [
        describe_speech(source.name, source.speech, source.lm, pruning),
        describe_speech(f"doubtful, temperature {TEMPERATURE:g}", doubtful, source.lm, pruning),
    ]
    for each in facts:
        console.print(_facts(each))
    chosen = settings(source.speech, doubtful, source.lm)
    compared = [compare(setting, effort.rounds) for setting in chosen]
    console.print(_table(compared, f"{source.name}: one core, {effort.rounds} rounds"))
    for comparison in compared:
        for name, reason in comparison.left_out.items():
            console.print(f"{comparison.setting}, left out: {name}: {reason}")
    threads = two_threads(chosen[0], effort.rounds)
    grown = memory(chosen[0], effort.in_memory)
    console.print(f"ours in 2 threads: {threads[1].ratio:.2f} times as fast as in 1, by the clock")
    console.print(
        f"ours from 1,000 to {grown.utterances:,} utterances: {grown.last_mb - grown.first_mb:+.1f}"
        f" MB of {grown.first_mb:,.0f}"
    )
    if plot is not None:
        _plot(compared, source.name, plot)
    shared = ("alpha", "beta", "beam_width", "beam_prune_logp", "token_min_logp", "hotword_weight")
    return {
        "speech": asdict(facts[0]),
        "doubtful": asdict(facts[1]),
        "options": {name: getattr(options, name) for name in shared},
        "settings": [asdict(each) for each in compared],
        "threads": [asdict(each) for each in threads],
        "memory": asdict(grown),
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


def _table(compared: Sequence[Comparison], title: str) -> Table:
    headings = ("", "RTFx", "quartiles", "ratio", "errors", "WER", "95 %")
    table = rich_table(Cells(headings, ()), title)
    for comparison in compared:
        table.add_section()
        table.add_row(Text(f"{comparison.setting}: {comparison.words:,} words", style="bold"))
        for each in comparison.decoders:
            speed, (low, high) = each.speed, each.wer_interval
            table.add_row(
                each.name,
                *spread_cells(speed.rtfx, speed.rtfx_low, speed.rtfx_high, digits=0),
                f"{speed.ratio:.2f}",
                str(each.errors),
                f"{each.wer:.2%}",
                f"{low:.1%} - {high:.1%}",
            )
    return table


def _plot(compared: Sequence[Comparison], name: str, path: Path) -> None:
    bars = [
        (
            replace(each.speed, name=f"{comparison.setting}: {each.name}"),
            f"{each.speed.rtfx:,.0f}, WER {each.wer:.2%}",
            OUR_COLOR if each.name == OURS else OTHER_COLOR,
        )
        for comparison in compared
        for each in comparison.decoders
    ]
    what = "seconds of audio decoded in a second on one core"
    plot_bars(bars, name, what, path, label_room=0.28)


@contextmanager
def _generated(effort: Effort) -> Iterator[Source]:
    """Generated speech, and a 3-gram of its language."""
    generated = GeneratedSpeech()
    speech = generated.first(effort.utterances)
    sentences = generated.training_sentences(TRAINING_SENTENCES, frozenset(speech.references))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingOptions(held_out=0.0, binary=BinaryOptions("probing"))
        spelling = Spelling.of_contract(generated.contract)
        training = train(sentences, Path(folder) / "3-gram", spelling, options)
        lm = next(file for file in training.files if file.suffix == ".binary")
        yield Source("generated speech", speech, lm)


def _served(parsed: argparse.Namespace) -> Speech:
    return load_speech(parsed.url, parsed.model, [parsed.manifest])


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m benchmarks decode", __doc__)
    what = "a quick look: fewer utterances and rounds"
    parser.add_argument("--short", action="store_true", help=what)
    group = parser.add_argument_group("another model's speech")
    group.add_argument("--url", help="server whose model makes the log_probs, once")
    group.add_argument("--model", metavar="NAME", help="model on the server")
    group.add_argument("--manifest", type=Path, metavar="M.jsonl", help="JSON Lines with text")
    group.add_argument("--lm", type=Path, metavar="FILE", help="language model of its language")
    parser.add_argument("--output", type=Path, metavar="JSON", help="figures and circumstances")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="bar chart of generated speech")
    return parser
