"""Arguments for transcribing on Ray."""

from argparse import ArgumentParser, Namespace
from typing import Final

from ..bulk.ray_engine import RayOptions
from .flags import flags
from .parser import whole_number

_OPTIONS: Final = ("workers", "shard_entries", "ray_address")


def add_ray(parser: ArgumentParser) -> None:
    """``--engine`` and the options of Ray; ``ray_options`` reads them."""
    group = parser.add_argument_group("engine")
    add = group.add_argument
    text = "transcribe a manifest in this process or as a Ray job (default %(default)s)"
    add("--engine", choices=("local", "ray"), default="local", help=text)
    text = (
        "ray: number of workers, each with its own requests and decoder (default: one for "
        "each CPU of the cluster)"
    )
    add("--workers", type=whole_number(1), metavar="N", help=text)
    text = (
        "ray: manifest lines that a worker takes at once, at most (default "
        f"{RayOptions.shard_entries})"
    )
    add("--shard-entries", type=whole_number(1), metavar="N", help=text)
    text = "ray: the cluster's address, or auto (default: start Ray on this machine)"
    add("--ray-address", metavar="HOST:PORT", help=text)


def ray_options(parser: ArgumentParser, args: Namespace) -> RayOptions | None:
    """The options of the arguments, ``None`` without Ray.

    Exits with a usage error where they do not go together.
    """
    given = [name for name in _OPTIONS if getattr(args, name) is not None]
    if args.engine == "local":
        if given:
            parser.error(f"{flags(given[:1])}: needs --engine ray")
        return None
    if args.threads:
        parser.error("--threads: needs --engine local; with Ray, --workers decode")
    most = args.shard_entries or RayOptions.shard_entries
    return RayOptions(args.workers, most, args.ray_address)
