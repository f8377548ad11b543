"""Where a load goes: a server that runs already, or the embedded one, started for the run."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from benchmarks.errors import LoadError
from benchmarks.load.loop import Target
from benchmarks.load.resources import Resources
from benchmarks.load.statistics import StatisticsReader
from benchmarks.load.watch import Probe
from benchmarks.processes import children
from server import EmbeddedServer, EmbeddedServerError, ServerOptions, free_ports
from server.processes import command_line

_LIVE_TIMEOUT_S = 5.0


@contextmanager
def running(url: str, model: str, server_pid: int | None = None) -> Iterator[Target]:
    """A server at ``url``; its resources are seen when its process id here is given."""
    with _target(url, model, server_pid, lambda: None) as target:
        yield target


@contextmanager
def embedded(
    repository: Path, model: str, *, gpu: bool, models: tuple[str, ...] = ()
) -> Iterator[Target]:
    """The embedded server for as long as the block lasts, with ``models`` of the repository or all.

    Raises :class:`LoadError` when it does not start.
    """
    before = children(os.getpid())
    options = ServerOptions(repository, models=models, gpu=gpu, **free_ports())
    try:
        with EmbeddedServer(options) as server:
            started = children(os.getpid()) - before
            pid = next((each for each in started if _is_triton(each)), None)
            with _target(server.grpc_url, model, pid, partial(_check_alive, server)) as target:
                yield target
    except EmbeddedServerError as error:
        raise LoadError(str(error)) from error


@contextmanager
def _target(
    url: str, model: str, server_pid: int | None, check: Callable[[], None]
) -> Iterator[Target]:
    if "//" in url or urlsplit(f"//{url}").port is None:
        raise LoadError(f"--url is {url!r}, expected host:port of gRPC, as in localhost:8001")
    with closing(InferenceServerClient(url)) as client:
        probe = Probe(StatisticsReader(client).read, Resources(server_pid).sample)

        def check_all() -> None:
            check()
            _check_live(client, url)

        yield Target(url, model, probe, check_all)


def _is_triton(pid: int) -> bool:
    return Path((command_line(pid) or [""])[0]).name == "tritonserver"


def _check_alive(server: EmbeddedServer) -> None:
    try:
        server.check()
    except EmbeddedServerError as error:
        raise LoadError(f"{error}; what was measured is kept") from error


def _check_live(client: InferenceServerClient, url: str) -> None:
    try:
        if client.is_server_live(client_timeout=_LIVE_TIMEOUT_S):
            return
        reason = "it says that it is not live"
    except InferenceServerException as error:
        reason = str(error)
    raise LoadError(
        f"the server at {url} died or became unreachable under the load ({reason}): see its log; "
        "what was measured is kept"
    )
