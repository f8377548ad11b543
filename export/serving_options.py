"""The options of the command line that say how Triton serves a model."""

import argparse
import math
import os
from dataclasses import replace
from typing import Any

from export.errors import ExportError
from export.serving import (
    DEFAULT_SERVING,
    PRESETS,
    QUEUE_SIZE,
    QUEUE_TIMEOUT_US,
    Serving,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to a command."""
    add = parser.add_argument_group("serving, see docs/performance.md").add_argument
    add(
        "--serving",
        choices=tuple(PRESETS),
        default=DEFAULT_SERVING.preset,
        help="%(default)s; cpu: an encoder for each core; throughput: full batches, for GPUs",
    )
    add("--cores", type=_above_0, metavar="N", help="of the server (this machine's)")
    add("--instances", type=_above_0, metavar="N", help="encoders that share the cores, or a GPU")
    add(
        "--queue-delay-ms",
        type=_delay_ms,
        metavar="MS",
        help="how long a request waits for others to share a batch with",
    )
    add(
        "--length-ranges",
        type=_ranges,
        metavar="S,S,…",
        help="upper ends in seconds of the ranges that queue apart, '' for none",
    )
    add(
        "--queue-size",
        type=_above_0,
        metavar="N",
        help=f"requests that may wait for each model, more are refused ({QUEUE_SIZE})",
    )
    add(
        "--queue-timeout-s",
        type=_timeout_s,
        metavar="S",
        help="how long they may wait, unless their client gives them a shorter time "
        f"({QUEUE_TIMEOUT_US / 1e6:g})",
    )


def serving_of(options: argparse.Namespace) -> Serving:
    """What was asked for; raises :class:`ExportError` for options that do not go together."""
    cores = options.cores or len(os.sched_getaffinity(0))
    serving = PRESETS[options.serving](cores)
    changes: dict[str, Any] = {}
    if options.instances is not None:
        changes |= {"instances": options.instances, "threads": max(1, cores // options.instances)}
    if options.queue_delay_ms is not None:
        changes["queue_delay_us"] = round(1000 * options.queue_delay_ms)
    if options.length_ranges is not None:
        changes["ranges_s"] = options.length_ranges
    if options.queue_size is not None:
        changes["queue_size"] = options.queue_size
    if options.queue_timeout_s is not None:
        changes["queue_timeout_us"] = round(1e6 * options.queue_timeout_s)
    if not serving.batched and {"queue_delay_us", "ranges_s"} & changes.keys():
        raise ExportError(
            "--serving cpu makes no batches: leave out --queue-delay-ms and --length-ranges"
        )
    try:
        return replace(serving, **changes)
    except ValueError as error:
        raise ExportError(f"{error}: correct --length-ranges") from error


def _above_0(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def _delay_ms(text: str) -> float:
    value = _float(text)
    if not 0 <= value <= 60_000:  # a minute: a request's deadline by default
        raise argparse.ArgumentTypeError(f"expected 0 to 60000 milliseconds, got {text!r}")
    return value


def _timeout_s(text: str) -> float:
    value = _float(text)
    if not 0.001 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected 0.001 to 3600 seconds, got {text!r}")
    return value


def _ranges(text: str) -> tuple[float, ...]:
    ranges = tuple(_float(part) for part in text.split(",") if part)
    if not all(map(math.isfinite, ranges)):
        raise argparse.ArgumentTypeError(f"expected seconds with commas between, got {text!r}")
    return ranges


def _float(text: str) -> float:
    """The number, or none that is within any bounds."""
    try:
        return float(text)
    except ValueError:
        return math.nan
