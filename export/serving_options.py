"""The options of the command line that say how Triton serves a model."""

import argparse
import os
from dataclasses import replace
from typing import Any, Final

from export.arguments import number, whole_number
from export.errors import ExportError
from export.serving import (
    DEFAULT_SERVING,
    PRESETS,
    QUEUE_SIZE,
    QUEUE_TIMEOUT_US,
    Serving,
)
from export.tensors import MAX_DURATION_S

_seconds: Final = number(0.001, MAX_DURATION_S, "seconds")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to a command."""
    add = parser.add_argument_group("serving, see docs/performance.md").add_argument
    add(
        "--serving",
        choices=tuple(PRESETS),
        default=DEFAULT_SERVING.preset,
        help="cpu: an encoder for each core; throughput: full batches, for GPUs "
        "(default: %(default)s)",
    )
    add(
        "--cores",
        type=whole_number,
        metavar="N",
        help="CPU cores of the server (default: this machine's)",
    )
    add(
        "--instances",
        type=whole_number,
        metavar="N",
        help="encoders that share the cores, or a GPU",
    )
    add(
        "--queue-delay-ms",
        type=number(0, 60_000, "milliseconds"),
        metavar="MS",
        help="how long a request waits for others to share its batch",
    )
    add(
        "--length-ranges",
        type=_ranges,
        metavar="S,S,…",
        help="upper ends in seconds of length ranges with their own queues, '' for none",
    )
    add(
        "--queue-size",
        type=whole_number,
        metavar="N",
        help=f"requests that wait for each model; more are rejected (default: {QUEUE_SIZE})",
    )
    add(
        "--queue-timeout-s",
        type=number(0.001, 3600, "seconds"),
        metavar="S",
        help="how long they wait, unless their client gives a shorter time "
        f"(default: {QUEUE_TIMEOUT_US / 1e6:g})",
    )


def serving_of(options: argparse.Namespace) -> Serving:
    """How to serve, from the options; raises ``ExportError`` for conflicting ones."""
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


def _ranges(text: str) -> tuple[float, ...]:
    return tuple(_seconds(part) for part in text.split(",") if part)
