"""``lm info``: describe a language model, measure it on a text, and warn of problems.

With a manifest it counts unknown words, and gives the perplexity with them (as ``<unk>``) and
without. With an acoustic model it checks that this can write the language model's words.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from ...errors import ManifestError
from ...language_models.inspection import Description, Fit, describe, fit, problems
from ...language_models.loading import load_language_model
from ...language_models.texts import read_texts
from ...utils.utf8 import json_text
from ..flags import FLAGS
from ..outputs import add_output, refuse_overwriting
from ..parser import CommandParser
from ..streams import open_output, print_facts
from .common import add_spelling, model_facts, read_spelling


def main(arguments: Sequence[str]) -> int:
    """Run the command; warnings do not make it fail."""
    args = _parser().parse_args(arguments)
    refuse_overwriting([args.output], [args.lm, args.manifest])
    spelling = read_spelling(args) if args.model or args.characters else None
    description = describe(args.lm)
    measured = None if args.manifest is None else _fit(args.lm, args.manifest)
    warned = [error.text(FLAGS) for error in problems(description.words, spelling)]
    with open_output(args.output) as output:
        if args.format == "json":
            found = _as_json(description, measured, warned)
            output.write(json_text(found) + "\n")
        else:
            print_facts([*_facts(description), *fit_facts(measured)], output)
            output.writelines(f"warning: {text}\n" for text in warned)
    return 0


def fit_facts(measured: Fit | None) -> list[tuple[str, str]]:
    """How a model fits a text, for a table; empty for ``None``."""
    if measured is None:
        return []
    return [
        ("text", f"{measured.sentences:,} sentences, {measured.words:,} words"),
        ("unknown words", f"{measured.unknown:,} ({measured.unknown_rate:.2%})"),
        ("perplexity", f"{measured.perplexity:.2f}"),
        ("of known words", f"{measured.known_perplexity:.2f}"),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("nemo-ctc lm info", __doc__)
    add = parser.add_argument
    add("lm", type=Path, metavar="MODEL", help="ARPA file or KenLM binary")
    text = "the text to measure: JSON Lines, or a text file"
    add("--manifest", type=Path, metavar="M.jsonl", help=text)
    add_spelling(parser, required=False)
    add_output(parser, ("text", "json"))
    return parser


def _fit(lm: Path, manifest: Path) -> Fit:
    measured = fit(load_language_model(lm), read_texts([manifest]))
    if not measured.sentences:
        raise ManifestError(f"{manifest}: holds no text to measure with")
    return measured


def _facts(description: Description) -> list[tuple[str, str]]:
    return [
        ("structure", description.structure),
        ("size", decimal(description.size_bytes)),
        *model_facts(description.counts),
        ("words", f"{len(description.words):,} without <s>, </s>, <unk>"),
    ]


def _as_json(description: Description, measured: Fit | None, warned: list[str]) -> dict[str, Any]:
    found = asdict(description) | {
        "order": len(description.counts),
        "words": len(description.words),
        "warnings": warned,
    }
    if measured is not None:
        found["text"] = asdict(measured) | {"unknown_rate": measured.unknown_rate}
    return found
