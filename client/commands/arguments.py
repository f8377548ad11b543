"""Arguments that several commands share, and what is made of them."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..decoding import BeamOptions, GreedyOptions, Hotword
from ..decoding.pauses import PAUSE_S
from ..decoding.preset import Preset, read_preset
from ..language_models.cases import WORD_CASES
from ..transcriber import Transcriber
from .numbers import whole_number
from .recordings import add_recordings, audio_options, long_audio_options
from .server import add_requests, add_server, transport_options, urls_of
from .streams import messages


def add_model(parser: ArgumentParser) -> None:
    """``--model``, the server, and the requests to it."""
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to use")
    add_server(parser)
    add_requests(parser)


def add_transcriber(parser: ArgumentParser) -> None:
    """The server, the model, recordings and how to decode; see ``open_transcriber``."""
    add_model(parser)
    add_recordings(parser)
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--decoder",
        choices=("greedy", "beam"),
        help="best token of each frame, or search with a language model (default: the preset's, "
        "or greedy)",
    )
    group.add_argument(
        "--decoder-config",
        type=Path,
        metavar="PRESET.json",
        help="options as `tune` wrote them; those given here too take their place",
    )
    add_beam_options(group)
    group.add_argument(
        "--processes",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="decode in N processes of their own (default 0: in this one)",
    )


def add_beam_options(group: Any, without: Iterable[str] = ()) -> None:
    """The options of beam search, each ``None`` when not given."""
    default = BeamOptions()
    beam_options: dict[str, tuple[Any, str | None, str]] = {
        "lm": (Path, "FILE", "ARPA, gzipped or not, or KenLM binary (default none)"),
        "unigrams": (Path, "FILE", "known words, one a line (default: the language model's)"),
        "alpha": (float, "A", f"language model weight (default {default.alpha})"),
        "beta": (float, "B", f"bonus for each word (default {default.beta})"),
        "unk_score_offset": (
            float,
            "X",
            f"added to log10 p of unknown words (default {default.unk_score_offset})",
        ),
        "beam_width": (int, "W", f"hypotheses kept (default {default.beam_width})"),
        "beam_prune_logp": (
            float,
            "X",
            f"hypotheses further below the best go (default {default.beam_prune_logp})",
        ),
        "token_min_logp": (
            float,
            "X",
            f"tokens below are not tried (default {default.token_min_logp})",
        ),
        "hotword_weight": (float, "X", f"bonus of hotwords (default {default.hotword_weight})"),
        "nbest": (int, "N", f"hypotheses to return (default {default.nbest})"),
    }
    for name, (kind, metavar, text) in beam_options.items():
        if name not in without:
            group.add_argument(_flag(name), type=kind, metavar=metavar, help=f"beam: {text}")
    group.add_argument(
        "--exact-nemo-text",
        action=argparse.BooleanOptionalAction,
        help=f"NeMo's text: let words run on over pauses of {PAUSE_S} s and more (default: the "
        "preset's, or not)",
    )
    group.add_argument(
        "--lm-case",
        choices=WORD_CASES,
        help=f"beam: the case of the language model's words (default {default.lm_case})",
    )
    group.add_argument(
        "--hotword",
        dest="hotwords",
        action="append",
        type=_hotword,
        metavar="WORD[=WEIGHT]",
        help="beam: a word or phrase to listen for; may be repeated",
    )


def read_decoding(parser: ArgumentParser, args: Namespace) -> Preset:
    """The decoder of the arguments: the preset's, changed by the options that were given.

    Exits with a usage error when options come without what they are for. Raises
    ``DecoderError`` for a preset or options that make no sense.
    """
    given = beam_arguments(args)
    preset = read_preset(args.decoder_config) if args.decoder_config else Preset(None)
    decoder = args.decoder or ("beam" if preset.beam else "greedy")
    if decoder == "greedy":
        exact = given.pop("exact_nemo_text", preset.decoder.exact_nemo_text)
        if given or args.processes:
            given |= {"processes": args.processes} if args.processes else {}
            parser.error(f"{flags(given)}: needs --decoder beam")
        return Preset(None, greedy=GreedyOptions(exact_nemo_text=exact))
    if preset.beam and "lm" in given and "alpha" not in given:
        messages.print(
            f"warning: the weights of {args.decoder_config} were chosen for another language model "
            "than --lm: choose them anew with `tune`"
        )
    given = {"exact_nemo_text": preset.decoder.exact_nemo_text, **given}
    beam = replace(preset.beam or BeamOptions(), **given)
    weights = [
        name
        for name in ("alpha", "beta", "unk_score_offset", "unigrams", "lm_case")
        if name in given
    ]
    if weights and beam.lm is None:
        parser.error(f"{flags(weights)}: is for a language model, give one with --lm FILE")
    if "nbest" in given and args.format != "jsonl":
        parser.error("--nbest: is for --format jsonl, which shows the hypotheses")
    if "hotword_weight" in given and not beam.hotwords:
        parser.error("--hotword-weight: is for hotwords, give some with --hotword WORD")
    return replace(preset, beam=beam)


def open_transcriber(args: Namespace, preset: Preset, *, confidence: bool = False) -> Transcriber:
    """Connect to the server and model of the arguments, with confidences where they cost a reply.

    Warns when the preset was chosen for another checkpoint than the model's.
    """
    transcriber = make_transcriber(args, preset, confidence=confidence)()
    if preset.checkpoint_sha256 not in ("", transcriber.contract.checkpoint_sha256):
        messages.print(
            f"warning: {args.decoder_config} was tuned for another checkpoint than the one that "
            f"{args.model} was exported from: tune again, wrong weights do worse than greedy"
        )
    return transcriber


def make_transcriber(
    args: Namespace, preset: Preset, *, confidence: bool = False
) -> Callable[[], Transcriber]:
    """What connects as ``open_transcriber`` does, here or in another process."""
    return partial(
        Transcriber,
        urls_of(args),
        args.model,
        decoder=preset.beam or replace(preset.greedy, confidence=confidence),
        processes=args.processes,
        options=transport_options(args),
        audio=audio_options(args),
        long_audio=long_audio_options(args),
    )


def beam_arguments(args: Namespace) -> dict[str, Any]:
    """The options of beam search that were given."""
    names = (field.name for field in fields(BeamOptions))
    given = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    if "hotwords" in given:
        given["hotwords"] = tuple(given["hotwords"])
    return given


def _hotword(text: str) -> Hotword:
    word, equals, weight = text.rpartition("=")
    if not equals:
        return Hotword(text)
    try:
        return Hotword(word, float(weight))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{weight!r} is no weight, expected a number") from error


def _flag(name: str) -> str:
    return {"hotwords": "--hotword"}.get(name, "--" + name.replace("_", "-"))


def flags(names: Iterable[str]) -> str:
    """The options as they are written on a command line, by the names of their values."""
    return ", ".join(map(_flag, names))
