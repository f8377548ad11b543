"""``--system`` and ``--scored``: what ``evaluate`` compares.

``NAME=SPEC`` is a decoder and a model. A SPEC is comma-separated: ``greedy``, ``beam``,
``pyctcdecode`` or a preset file first, where there is one, then ``option=value`` with the names of
``BeamOptions``, and ``model=NAME``. ``NAME[:FIELD]=FILE`` is texts that exist.
"""

import argparse
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from ..decoding.options import DECODERS, BeamOptions, SearchOptions
from ..decoding.preset import Preset
from ..errors import DecoderError
from ..evaluation.result import GREEDY, Scored, System
from .arguments import add_beam_options, beam_arguments, read_decoding
from .flags import flags

EXAMPLES: Final = """\
Systems are compared over one pass through the acoustic model; each further one is compared with the
first:

  --system greedy
  --system tuned=demo/beam.json
  --system notebook=lm=demo/lm.arpa.gz,alpha=2,beta=1.5,beam_width=32
  --system narrow=demo/beam.json,beam_width=10     a preset, changed
  --system other=pyctcdecode,lm=demo/lm.arpa.gz    the package of this name
  --system int8=greedy,model=english_int8          another model on the server(s)
  --system nemo=greedy,exact_nemo_text             words run together over pauses, as in NeMo

  --scored other=results.jsonl                     texts that exist, in the field pred_text
  --scored other:hypothesis=results.jsonl          or in another one

Without a NAME, it is the first word of the SPEC. Options are nbest and those of beam search below,
with _ for -; hotword=WORD[=WEIGHT] and lm=FILE[=WEIGHT] may be repeated. Paths with a comma go into
a preset.
"""
_SWITCHES: Final = ("exact_nemo_text", "no_exact_nemo_text")
_OPTIONS: Final = (
    "model",
    "hotword",
    *(field.name for field in fields(BeamOptions) if field.name not in ("hotwords", *_SWITCHES)),
)


def add_systems(parser: ArgumentParser) -> None:
    """``--system`` and ``--scored``; ``read_systems`` reads them."""
    add = partial(parser.add_argument, dest="systems", action="append")
    text = (
        "a system to compare, see above; may be repeated (default: one, of the options for "
        "decoding below)"
    )
    add("--system", metavar="NAME=SPEC", help=text)
    text = (
        "texts that exist, in a field of JSON Lines (default pred_text, as `transcribe` writes "
        "it), to compare with the systems or, without --model, by themselves; may be repeated"
    )
    add("--scored", type=_scored, metavar="NAME[:FIELD]=FILE", help=text)


def read_systems(parser: ArgumentParser, args: Namespace) -> list[System]:
    """The systems of the arguments, in order; else, or before scored texts, that of its options.

    Exits with a usage error for what cannot be meant. Raises ``DecoderError`` for a preset or
    options that make no sense.
    """
    given: list[str | System] = args.systems or []
    model = args.model or ""
    if all(isinstance(each, System) for each in given) and (model or not given):
        preset = read_decoding(parser, args)
        given = [_system(_name_of(args, preset), model, preset), *given]
    elif single := [*_single(args), *beam_arguments(args)]:
        parser.error(f"{flags(single)}: is for one system, write it into --system NAME=…")
    systems = [
        each if isinstance(each, System) else _read_system(parser, each, model) for each in given
    ]
    times = Counter(system.name for system in systems)
    if repeated := [name for name in times if times[name] > 1]:
        named = ", ".join(repeated)
        parser.error(f"--system, --scored: several are named {named}, give each another NAME")
    if args.threads and not any(isinstance(each.decoder, SearchOptions) for each in systems):
        parser.error("--threads: needs a system with beam search")
    if any(not (system.model or system.scored) for system in systems):
        parser.error("--model: is missing, name the model on the server")
    return systems


def _single(args: Namespace) -> list[str]:
    """The options that choose the decoder of one system."""
    return [name for name in ("decoder", "decoder_config") if getattr(args, name) is not None]


def _scored(text: str) -> System:
    name, equals, file = text.partition("=")
    name, _, field = name.partition(":")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=FILE or NAME:FIELD=FILE")
    return System(name, scored=Scored(Path(file), field or Scored.field))


def _name_of(args: Namespace, preset: Preset) -> str:
    """What the one system is."""
    if preset.beam is None:
        return "greedy"
    if args.decoder_config:
        return str(args.decoder_config)
    models = " + ".join(map(str, preset.beam.language_models))
    return f"{preset.beam.name} with {models}" if models else preset.beam.name


def _system(name: str, model: str, preset: Preset) -> System:
    decoder = preset.beam or replace(preset.greedy, confidence=GREEDY.confidence)
    return System(name, model, decoder, checkpoint_sha256=preset.checkpoint_sha256)


def _read_system(parser: ArgumentParser, text: str, model: str) -> System:
    name, equals, spec = text.partition("=")
    if not equals or "," in name:
        name, spec = text.partition(",")[0], text
    if name.replace("-", "_") in _OPTIONS:
        parser.error(f"--system {text}: has no name, expected --system NAME={text}")
    if not (name and spec):
        parser.error(f"--system {text}: expected NAME=SPEC, as in the examples of --help")
    spec_parser = _spec_parser()
    try:
        args = spec_parser.parse_args(_flags(spec))
        if not (args.decoder or args.decoder_config) and beam_arguments(args):
            args.decoder = "beam"
        return _system(name, args.model or model, read_decoding(spec_parser, args))
    except argparse.ArgumentError as error:
        parser.error(f"--system {text}: {error}")
    except DecoderError as error:
        raise error.amended(message=f"--system {text}: {error.message}") from error


def _flags(spec: str) -> Iterator[str]:
    """A SPEC as the flags that it stands for."""
    first, *options = spec.split(",")
    if "=" in first:
        options = [first, *options]
    else:
        flag = "--decoder" if first in DECODERS else "--decoder-config"
        yield f"{flag}={first}"
    for option in options:
        if option.replace("-", "_") in _SWITCHES:
            yield f"--{option.replace('_', '-')}"
            continue
        name, equals, value = option.partition("=")
        if not equals or name.replace("-", "_") not in _OPTIONS:
            raise argparse.ArgumentError(
                None,
                f"{option!r} is no option, expected one of {'=, '.join(_OPTIONS)}=, "
                f"{', '.join(_SWITCHES)}",
            )
        yield f"--{name.replace('_', '-')}={value}"


class _SpecParser(ArgumentParser):
    """Raises where others exit."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


def _spec_parser() -> ArgumentParser:
    """The parser of what SPECs stand for: the options of the commands themselves."""
    parser = _SpecParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--decoder", choices=tuple(DECODERS))
    parser.add_argument("--decoder-config", type=Path)
    parser.add_argument("--model")
    parser.set_defaults(threads=0, format="jsonl")  # with these, no option is refused
    add_beam_options(parser)
    return parser
