"""Arguments that several commands share, and what is made of them."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from client.decoding import BeamOptions
from client.transcriber import Transcriber

DEFAULT_URL = "localhost:8001"


def add_url(parser: ArgumentParser) -> None:
    """``--url``."""
    parser.add_argument(
        "--url",
        default=DEFAULT_URL,
        metavar="HOST:PORT",
        help="the server's gRPC address (default %(default)s)",
    )


def add_transcriber(parser: ArgumentParser) -> None:
    """The server, the model and how to decode; :func:`open_transcriber` reads them."""
    add_url(parser)
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to use")
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--decoder",
        choices=("greedy", "beam"),
        default="greedy",
        help="best token of each frame, or search with a language model (default %(default)s)",
    )
    beam_options = {
        "lm": (Path, "FILE", "ARPA language model, gzipped or not (default none)"),
        "alpha": (float, "A", f"language model weight (default {BeamOptions.alpha})"),
        "beta": (float, "B", f"bonus for each word (default {BeamOptions.beta})"),
        "beam_width": (int, "W", f"hypotheses kept (default {BeamOptions.beam_width})"),
    }
    for name, (kind, metavar, text) in beam_options.items():
        group.add_argument(_flag(name), type=kind, metavar=metavar, help=f"beam: {text}")


def add_output(parser: ArgumentParser, formats: tuple[str, ...]) -> None:
    """``--output`` and ``--format``; the first format is the default."""
    parser.add_argument(
        "--output",
        type=_output_path,
        metavar="OUT",
        help="file for the results, complete or not there (default standard output)",
    )
    parser.add_argument("--format", choices=formats, default=formats[0], help="default %(default)s")


def check_decoding(parser: ArgumentParser, args: Namespace) -> None:
    """Exit with a usage error when options come without what they are for."""
    given = _beam_arguments(args)
    if args.decoder == "greedy" and given:
        parser.error(f"{_flags(given)}: needs --decoder beam")
    weights = [name for name in ("alpha", "beta") if name in given]
    if weights and args.lm is None:
        parser.error(f"{_flags(weights)}: weighs a language model, give one with --lm FILE")


def open_transcriber(args: Namespace) -> Transcriber:
    """Connect to the server and model of the arguments."""
    beam = BeamOptions(**_beam_arguments(args)) if args.decoder == "beam" else None
    return Transcriber(args.url, args.model, beam=beam)


def _beam_arguments(args: Namespace) -> dict[str, Any]:
    names = (field.name for field in fields(BeamOptions))
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(_flag, names))


def _output_path(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file in a folder that exists")
    return path
