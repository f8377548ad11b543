"""Ray: the cluster that a job runs on, one that is there or one of its own on this machine."""

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from ...errors import RayJobError
from ...utils.extras import missing

_OBJECT_STORE_BYTES: Final = 1 << 27
"""In shared memory: only shards and their numbers go through it."""
_CONNECT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True)
class RayOptions:
    """Where the job runs, and how it is divided.

    ``workers`` are processes with a transcriber each, one CPU for each; ``None`` for as many as
    the cluster has CPUs. ``shard_entries`` is the most that a worker takes at once, and loses no
    more than what is in flight of it. ``address`` is a Ray cluster's (``auto`` on one of its
    machines); ``None`` for the one that this process is connected to, or else one of its own,
    started on this machine and shut down after.
    """

    workers: int | None = None
    shard_entries: int = 1000
    address: str | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` without workers or entries."""
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}, expected at least 1")
        if self.shard_entries < 1:
            raise ValueError(f"shard_entries is {self.shard_entries}, expected at least 1")


def import_ray(options: RayOptions) -> Any:
    """The module ``ray`` with ``ray.data``, ready for the options.

    Raises ``MissingPackage`` when it is not installed.
    """
    if options.address is None and "ray" not in sys.modules:
        _prepare_environment()
    try:
        import_module("ray.data")
    except ImportError as error:
        raise missing(error.name or "ray", "ray", "the engine") from error
    return import_module("ray")


@contextmanager
def connected(options: RayOptions) -> Iterator[int]:
    """Ray, while it is needed; gives the number of workers.

    Raises ``RayJobError`` when it does not start, and ``MissingPackage``.
    """
    ray = import_ray(options)
    own = not ray.is_initialized()
    if own:
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if options.address is None:
                ray.init(
                    "local",
                    num_cpus=options.workers,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    **quiet,
                )
            else:
                _check_listening(options.address)
                ray.init(options.address, **quiet)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            where = options.address or "this machine"
            raise RayJobError(
                f"Ray does not start on {where} ({error}): check the address and the token, or "
                "look at its logs"
            ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if own:
            ray.shutdown()


def _check_listening(address: str) -> None:
    """Raise ``OSError`` when nothing listens there: Ray itself takes minutes to notice."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()


def _prepare_environment() -> None:
    """For a Ray of our own; it reads these when it is imported, and its processes when started."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its only switch for the loopback interface alone, despite its name.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Other users of the machine must not give it work; by itself it leaves a token in a file.
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
