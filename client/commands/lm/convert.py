"""``lm convert``: build a KenLM binary from an ARPA file, gzipped or not.

It can change the case of the words, to that of the acoustic model.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.filesize import decimal
from rich.progress import wrap_file

from ...errors import OutputError
from ...language_models.arpa import unreadable
from ...language_models.cases import WORD_CASES
from ...language_models.convert import BinaryOptions, convert
from ...utils.files import is_stream
from ..outputs import output_path, refuse_overwriting
from ..parser import CommandParser
from ..streams import messages, print_facts
from .common import add_binary_options, model_facts


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when it fails, and then the output is as it was."""
    args = _parser().parse_args(arguments)
    options = BinaryOptions(args.type, args.quantize, args.memory)
    if is_stream(args.output):
        raise OutputError(f"{args.output}: is a pipe or device, expected a file: KenLM maps it")
    refuse_overwriting([args.output], [args.arpa])
    start_s = time.perf_counter()
    try:
        file = args.arpa.open("rb")
    except OSError as error:
        raise unreadable(args.arpa, error, "an ARPA file") from error
    size_bytes = args.arpa.stat().st_size
    with (
        file,
        wrap_file(
            file,
            size_bytes,
            description="Converting",
            console=messages,
            disable=not messages.is_terminal,
        ) as source,
    ):
        header = convert(source, args.output, args.case, options)
    facts = [
        *model_facts(header.counts),
        ("structure", header.structure),
        ("size", f"{decimal(size_bytes)} → {decimal(args.output.stat().st_size)}"),
        ("time", f"{time.perf_counter() - start_s:.1f} s"),
    ]
    print_facts(facts, sys.stdout)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("nemo-ctc lm convert", __doc__)
    add = parser.add_argument
    add("arpa", type=Path, metavar="IN.arpa", help="ARPA file, gzipped or not")
    text = "the KenLM binary to write"
    add("--output", type=output_path, required=True, metavar="OUT.binary", help=text)
    text = "case of the words, which must be the acoustic model's (default %(default)s)"
    add("--case", choices=WORD_CASES, default="keep", help=text)
    add_binary_options(parser)
    return parser
