"""``lm info``: what a language model is, how it fits a text, and what speaks against using it.

With a manifest: how many of its words are unknown, and the perplexity with them (as ``<unk>``) and
without. With an acoustic model: whether it can write the language model's words.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import ManifestError
from ...language_models.inspection import Description, Fit, describe, fit, warnings
from ...language_models.loading import load_language_model
from ...language_models.texts import read_texts
from ...utils.utf8 import json_text
from ..outputs import add_output, refuse_overwriting
from ..streams import open_output
from .common import add_spelling, model_facts, print_facts, read_spelling, size


def main(arguments: Sequence[str]) -> int:
    """Run the command; warnings do not make it fail."""
    args = _parser().parse_args(arguments)
    refuse_overwriting([args.output], [args.lm, args.manifest])
    spelling = read_spelling(args) if args.model or args.characters else None
    description = describe(args.lm)
    measured = None if args.manifest is None else _fit(args.lm, args.manifest)
    warned = warnings(description.words, spelling)
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
    parser = argparse.ArgumentParser(
        prog="nemo-ctc lm info",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lm", type=Path, metavar="MODEL", help="ARPA file or KenLM binary")
    parser.add_argument(
        "--manifest", type=Path, metavar="M.jsonl", help="JSON Lines with text, or a text file"
    )
    add_spelling(parser, required=False)
    add_output(parser, ("text", "json"))
    return parser


def _fit(lm: Path, manifest: Path) -> Fit:
    measured = fit(load_language_model(lm).kenlm, read_texts([manifest]))
    if not measured.sentences:
        raise ManifestError(f"{manifest}: holds no text to measure with")
    return measured


def _facts(description: Description) -> list[tuple[str, str]]:
    return [
        ("structure", description.structure),
        ("size", size(description.size_bytes)),
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
