"""``--system NAME=SPEC``: a decoder and a model, one of several that ``evaluate`` compares.

A SPEC is comma-separated: ``greedy``, ``beam`` or a preset file first, where there is one, then
``option=value`` with the names of ``BeamOptions``, and ``model=NAME``.
"""

import argparse
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, NoReturn

from ..decoding import BeamOptions
from ..decoding.preset import Preset
from ..errors import DecoderError
from ..evaluation.result import System
from ..evaluation.tuning.comparison import GREEDY
from ..wire.contract import Contract
from .arguments import add_beam_options, beam_arguments, flags, read_decoding
from .streams import messages

EXAMPLES: Final = """\
Systems are compared over one pass through the acoustic model; each further one is compared with the
first:

  --system greedy
  --system tuned=demo/beam.json
  --system notebook=lm=demo/lm.arpa.gz,alpha=2,beta=1.5,beam_width=32
  --system narrow=demo/beam.json,beam_width=10     a preset, changed
  --system int8=greedy,model=english_int8          another model on the server(s)
  --system nemo=greedy,exact_nemo_text             words run together over pauses, as in NeMo

Without a NAME, the first word of the SPEC is it. Options are those of beam search below, with _ for
-; hotword=WORD may be repeated. Paths with a comma go into a preset.
"""
_DECODERS: Final = ("greedy", "beam")
_SWITCHES: Final = ("exact_nemo_text", "no_exact_nemo_text")
_OPTIONS: Final = (
    "model",
    "hotword",
    *(field.name for field in fields(BeamOptions) if field.name not in ("hotwords", *_SWITCHES)),
)


@dataclass(frozen=True)
class Chosen:
    """A system and the checkpoint that its preset was tuned for, empty for any."""

    system: System
    checkpoint_sha256: str = ""

    def warn_of(self, contract: Contract) -> None:
        """Warn where that is not the checkpoint of the system's model."""
        if self.checkpoint_sha256 not in ("", contract.checkpoint_sha256):
            messages.print(
                f"warning: the preset of {self.system.name} was tuned for another checkpoint than "
                f"the one that {self.system.model} was exported from: tune again, wrong weights do "
                "worse than greedy"
            )


def add_systems(parser: ArgumentParser) -> None:
    """``--system``; ``read_systems`` reads it."""
    parser.add_argument(
        "--system",
        dest="systems",
        action="append",
        metavar="NAME=SPEC",
        help="a system to compare, see above; may be repeated (default: one, of the options for "
        "decoding below)",
    )


def read_systems(parser: ArgumentParser, args: Namespace) -> list[Chosen]:
    """The systems of the arguments, or the one of its options for decoding.

    Exits with a usage error for what cannot be meant. Raises ``DecoderError`` for a preset or
    options that make no sense.
    """
    if not args.systems:
        preset = read_decoding(parser, args)
        return [_chosen(_name_of(args, preset), args.model, preset)]
    single = [name for name in ("decoder", "decoder_config") if getattr(args, name) is not None]
    if single := [*single, *beam_arguments(args)]:
        parser.error(f"{flags(single)}: is for one system, write it into --system NAME=…")
    systems = [_read_system(parser, text, args.model) for text in args.systems]
    times = Counter(chosen.system.name for chosen in systems)
    if repeated := [name for name in times if times[name] > 1]:
        parser.error(f"--system: several are named {', '.join(repeated)}, expected NAME=SPEC")
    if args.processes and not any(_searches(chosen.system) for chosen in systems):
        parser.error("--processes: needs a system with beam search")
    return systems


def _name_of(args: Namespace, preset: Preset) -> str:
    """What the one system is."""
    if preset.beam is None:
        return "greedy"
    if args.decoder_config:
        return str(args.decoder_config)
    return f"beam with {preset.beam.lm}" if preset.beam.lm else "beam"


def _searches(system: System) -> bool:
    return isinstance(system.decoder, BeamOptions)


def _chosen(name: str, model: str, preset: Preset) -> Chosen:
    decoder = preset.beam or replace(preset.greedy, confidence=GREEDY.confidence)
    return Chosen(System(name, model, decoder), preset.checkpoint_sha256)


def _read_system(parser: ArgumentParser, text: str, model: str) -> Chosen:
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
        return _chosen(name, args.model or model, read_decoding(spec_parser, args))
    except argparse.ArgumentError as error:
        parser.error(f"--system {text}: {error}")
    except DecoderError as error:
        raise DecoderError(f"--system {text}: {error}") from error


def _flags(spec: str) -> Iterator[str]:
    """A SPEC as the flags that it stands for."""
    first, *options = spec.split(",")
    if "=" in first:
        options = [first, *options]
    else:
        flag = "--decoder" if first in _DECODERS else "--decoder-config"
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
    parser.add_argument("--decoder", choices=_DECODERS)
    parser.add_argument("--decoder-config", type=Path)
    parser.add_argument("--model")
    parser.set_defaults(processes=0, format="jsonl")  # with these, no option is refused
    add_beam_options(parser)
    return parser
