"""What the ``lm`` commands share: arguments, and a model's facts."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from contextlib import closing

from ...language_models.convert import BINARY_TYPES, BinaryOptions
from ...language_models.spelling import Spelling
from ...wire.transport import TritonTransport
from ..server import add_server, connecting_options, urls_of


def add_spelling(parser: ArgumentParser, *, required: bool) -> None:
    """``--model`` on ``--url``, or ``--characters``; ``read_spelling`` reads them."""
    add_server(parser)
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--model", metavar="NAME", help="the served acoustic model that it is for")
    group.add_argument(
        "--characters", metavar="TEXT", help="or all characters that the acoustic model writes"
    )


def read_spelling(args: Namespace, case: str | None = None) -> Spelling:
    """How the acoustic model of the arguments writes; asks its server, where it is a served one."""
    if args.model is None:
        return Spelling.of(args.characters, case)
    options = connecting_options(args)
    with closing(TritonTransport(urls_of(args), args.model, options)) as transport:
        return Spelling.of_contract(transport.contract, case)


def add_binary_options(parser: ArgumentParser) -> None:
    """``--type``, ``--quantize`` and ``--memory``, for ``BinaryOptions``."""
    default = BinaryOptions()
    add = parser.add_argument
    text = "trie: half the size, built within --memory; probing: faster (default %(default)s)"
    add("--type", choices=BINARY_TYPES, default=default.type, help=text)
    add("--quantize", type=int, metavar="BITS", help="store each probability in BITS (trie only)")
    text = "memory that KenLM may use for sorting, such as 512M or 2G (default %(default)s)"
    add("--memory", default=default.memory, metavar="SIZE", help=text)


def model_facts(counts: Iterable[int]) -> list[tuple[str, str]]:
    """Order and n-gram counts."""
    counts = list(counts)
    grams = ((f"{order}-grams", f"{count:,}") for order, count in enumerate(counts, start=1))
    return [("order", str(len(counts))), *grams]
