"""Arguments that several commands share, and what is made of them."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..audio import AudioOptions, RawFormat
from ..audio.options import EACH, Channel
from ..audio.voice_activity import VadOptions
from ..decoding import BeamOptions, GreedyOptions, Hotword, PyctcdecodeOptions, WeightedLm
from ..decoding.options import DECODERS, changed
from ..decoding.pauses import PAUSE_S
from ..decoding.preset import Preset, read_preset
from ..errors import AudioError
from ..language_models.cases import WORD_CASES
from ..segmentation import METHODS, SegmentationOptions
from ..transcriber import Transcriber
from .flags import flags
from .parser import whole_number
from .server import add_requests, add_server, transport_options, urls_of
from .streams import warn


def add_model(parser: ArgumentParser, *, required: bool = True) -> None:
    """``--model``, the server, and the requests to it."""
    parser.add_argument("--model", required=required, metavar="NAME", help="the model to use")
    add_server(parser)
    add_requests(parser)


def add_transcriber(
    parser: ArgumentParser,
    *,
    model_required: bool = True,
    without: Iterable[str] = (),
    each_channel: bool = False,
) -> None:
    """The server, the model, recordings and how to decode; see ``open_transcriber``.

    Options of beam search called as in ``without`` are left out. ``each_channel`` allows to
    transcribe all channels.
    """
    add_model(parser, required=model_required)
    add_recordings(parser, each_channel=each_channel)
    group = parser.add_argument_group("decoding")
    add = group.add_argument
    text = (
        "greedy: the best token of each frame; beam: a search, with or without a language "
        "model; pyctcdecode: the search of the package of this name, with the same options "
        "(default: the preset's, or greedy)"
    )
    add("--decoder", choices=tuple(DECODERS), help=text)
    text = "decoding options that `tune` wrote; options given here override them"
    add("--decoder-config", type=Path, metavar="PRESET.json", help=text)
    add_beam_options(group, without)
    text = "decode in N threads (default 0: in the main thread)"
    add("--threads", type=whole_number(0), default=0, metavar="N", help=text)


def add_beam_options(group: Any, without: Iterable[str] = ()) -> None:
    """The options of beam search, each ``None`` when not given."""
    add, default = group.add_argument, BeamOptions()
    if "lm" not in without:
        add_language_models(group)
    other = f"{PyctcdecodeOptions.hotword_weight:g}"
    its_words = "the language model's words"
    for name, kind, metavar, text in (
        ("unigrams", Path, "FILE", f"list of known words, one a line (default: {its_words})"),
        ("alpha", float, "A", "language model weight"),
        ("beta", float, "B", "bonus for each word"),
        ("unk_score_offset", float, "X", "added to log10 p of unknown words"),
        ("beam_width", int, "W", "hypotheses kept"),
        ("beam_prune_logp", float, "X", "drop hypotheses this far below the best"),
        ("token_min_logp", float, "X", "skip tokens with a lower log probability"),
        ("hotword_weight", float, "X", f"bonus for each hotword, {other} in pyctcdecode"),
        ("nbest", int, "N", "hypotheses to return"),
    ):
        if name not in without:
            shown = "" if kind is Path else f" (default {getattr(default, name)})"
            add(flags([name]), type=kind, metavar=metavar, help=f"beam: {text}{shown}")
    text = (
        f"give NeMo's text: do not split words at pauses of {PAUSE_S} s or more (default: the "
        "preset's, or off)"
    )
    add("--exact-nemo-text", action=argparse.BooleanOptionalAction, help=text)
    text = f"beam: the case of the language model's words (default {default.lm_case})"
    add("--lm-case", choices=WORD_CASES, help=text)
    text = "beam: a word or phrase to favour, or with a weight below 0 to avoid; may be repeated"
    add(
        "--hotword",
        dest="hotwords",
        action="append",
        type=_hotword,
        metavar="WORD[=WEIGHT]",
        help=text,
    )


def add_language_models(group: Any, *, required: bool = False) -> None:
    """``--lm``; ``beam_arguments`` reads it."""
    text = (
        "beam: language model, ARPA, gzipped or not, or KenLM binary"
        f"{'' if required else ' (default none)'}; may be repeated: the scores are added, each "
        "times its weight (default 1)"
    )
    group.add_argument(
        "--lm",
        action="append",
        type=_language_model,
        required=required,
        metavar="FILE[=WEIGHT]",
        help=text,
    )


def read_decoding(parser: ArgumentParser, args: Namespace) -> Preset:
    """The decoder of the arguments: the preset's, changed by the options that were given.

    Exits with a usage error when options come without what they are for. Raises
    ``DecoderError`` for a preset or options that make no sense.
    """
    given = beam_arguments(args)
    preset = read_preset(args.decoder_config) if args.decoder_config else Preset(None)
    decoder = args.decoder or preset.decoder.name
    if decoder == GreedyOptions.name:
        exact = given.pop("exact_nemo_text", changed(preset.decoder).get("exact_nemo_text", False))
        if given or args.threads:
            given |= {"threads": args.threads} if args.threads else {}
            parser.error(f"{flags(given)}: needs --decoder beam")
        return Preset(None, greedy=GreedyOptions(exact_nemo_text=exact))
    if preset.beam and "lm" in given and "alpha" not in given:
        warn(
            f"the weights of {args.decoder_config} were tuned for another language model "
            "than --lm: run `tune` again"
        )
    kind = PyctcdecodeOptions if decoder == PyctcdecodeOptions.name else BeamOptions
    values = {**changed(preset.decoder), **given}
    values.pop("confidence", None)  # beam search has it anyway
    names = {field.name for field in fields(kind)}
    if strange := [name for name in values if name not in names]:
        parser.error(f"{flags(strange)}: is not for --decoder {kind.name}")
    beam = kind(**values)
    weights = [
        name
        for name in ("alpha", "beta", "unk_score_offset", "unigrams", "lm_case")
        if name in given
    ]
    if weights and beam.lm is None:
        parser.error(f"{flags(weights)}: is for a language model, which --lm FILE names")
    if "nbest" in given and args.format != "jsonl":
        parser.error("--nbest: needs --format jsonl, which shows the hypotheses")
    if "hotword_weight" in given and not beam.hotwords:
        parser.error("--hotword-weight: needs hotwords, --hotword WORD")
    return replace(preset, beam=beam)


def open_transcriber(args: Namespace, preset: Preset, *, confidence: bool = False) -> Transcriber:
    """Connect to the server and model of the arguments, with confidences where they cost a reply.

    Warns when the preset was chosen for another checkpoint than the model's.
    """
    transcriber = make_transcriber(args, preset, confidence=confidence)()
    if preset.checkpoint_sha256 not in ("", transcriber.contract.checkpoint_sha256):
        warn(
            f"{args.decoder_config} was tuned for another checkpoint than the one that "
            f"{args.model} was exported from: run `tune` again, wrong weights can be worse "
            "than greedy"
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
        threads=args.threads,
        options=transport_options(args),
        audio=audio_options(args),
        segmentation=segmentation_options(args),
    )


def beam_arguments(args: Namespace) -> dict[str, Any]:
    """The options of beam search that were given."""
    names = (field.name for field in fields(BeamOptions))
    given = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    if "hotwords" in given:
        given["hotwords"] = tuple(given["hotwords"])
    if "lm" in given:
        models = tuple(given["lm"])
        given["lm"] = models[0].path if [each.weight for each in models] == [1] else models
    return given


def _language_model(text: str) -> WeightedLm:
    path, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        return WeightedLm(Path(text))
    try:
        return WeightedLm(Path(path), float(weight))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: no such file, and {weight!r} is no weight: expected a number"
        ) from error


def _hotword(text: str) -> Hotword:
    word, equals, weight = text.rpartition("=")
    if not equals:
        return Hotword(text)
    try:
        return Hotword(word, float(weight))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{weight!r}: expected a number as the weight") from error


def add_recordings(
    parser: ArgumentParser, *, always_strict: bool = False, each_channel: bool = False
) -> None:
    """How recordings are read; ``audio_options`` and ``segmentation_options`` read them.

    With ``always_strict`` damaged ones are rejected, without an option for it.
    """
    group = parser.add_argument_group("recordings")
    add = group.add_argument
    if each_channel:
        text = (
            "transcribe channel N, counted from 1, or each of them by itself, cut at its pauses "
            "(default: the mean of all channels)"
        )
        add("--channel", type=_channel, metavar="N|each", help=text)
    else:
        text = "transcribe channel N, counted from 1 (default: the mean of all channels)"
        add("--channel", type=int, metavar="N", help=text)
    text = (
        "the recordings have no header: their rate, channels and encoding, such as "
        "8000:1:mulaw (default 1 channel, s16le)"
    )
    add("--raw", type=_raw_format, metavar="HZ[:CHANNELS[:ENCODING]]", help=text)
    parser.set_defaults(strict_audio=always_strict)
    if not always_strict:
        text = (
            "reject damaged and truncated recordings (default: transcribe the readable part and "
            "warn)"
        )
        add("--strict-audio", action="store_true", help=text)
    text = "reject longer recordings (default %(default)g s)"
    add("--max-duration", type=float, default=AudioOptions.max_duration_s, metavar="S", help=text)
    default = SegmentationOptions()
    text = (
        "how to cut recordings (default: only those that are too long for the model, at their "
        "pauses); vad: all of them at their pauses, leaving out what is no speech; window: long "
        "ones into overlapping windows; none: reject long ones"
    )
    add("--segment", choices=METHODS, help=text)
    vad = default.vad
    text = "voice activity: how probable speech must be to begin, 0 to 1 (default %(default)g)"
    add("--vad-threshold", type=float, default=vad.threshold, metavar="P", help=text)
    text = "voice activity: the least pause to cut at, in seconds (default %(default)g)"
    add("--min-silence", type=float, default=vad.min_silence_s, metavar="S", help=text)
    text = (
        "cut recordings and segments longer than S seconds into windows of S seconds (default: "
        "windows of 30 s, for speech without a pause that is too long for the model)"
    )
    add("--window", type=float, default=default.window_s, metavar="S", help=text)
    text = "seconds that neighbouring windows share (default %(default)g)"
    add("--overlap", type=float, default=default.overlap_s, metavar="S", help=text)


def audio_options(args: Namespace) -> AudioOptions:
    """How to read the recordings; raises ``AudioError`` for options that make no sense."""
    return AudioOptions(
        channel=args.channel,
        raw=args.raw,
        strict=args.strict_audio,
        max_duration_s=args.max_duration,
    )


def segmentation_options(args: Namespace) -> SegmentationOptions:
    """How they are cut; raises ``AudioError`` for options that make no sense."""
    vad = VadOptions(threshold=args.vad_threshold, min_silence_s=args.min_silence)
    return SegmentationOptions(args.segment, args.window, args.overlap, vad)


def _channel(text: str) -> Channel:
    if text == EACH:
        return EACH
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a channel, counted from 1, or {EACH}"
        ) from None


def _raw_format(text: str) -> RawFormat:
    rate, *more = text.split(":")
    try:
        channels = int(more[0]) if more else RawFormat.channels
        return RawFormat(int(rate), channels, *more[1:])
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected HZ[:CHANNELS[:ENCODING]] as in 16000:1:s16le"
        ) from error
    except AudioError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
