"""``python -m server``: serve a model repository until a signal comes or something dies.

Everything goes to standard error: Triton's log, the line that says the server is ready, errors.
The exit status is 0 after SIGINT, SIGTERM or SIGHUP, 1 when the server did not start or died, and
2 when the command line is wrong.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from server.errors import EmbeddedServerError
from server.launcher import EmbeddedServer
from server.options import ServerOptions

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        options = ServerOptions(**{**vars(parsed), "models": tuple(parsed.models)})
        with EmbeddedServer(options) as server:
            _say(f"ready: {', '.join(server.models)}")
            _say(f"gRPC {server.grpc_url}  HTTP {server.http_url}  metrics {server.metrics_url}")
            server.watch()
    except EmbeddedServerError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("stopped")
    return 0


def _parser() -> argparse.ArgumentParser:
    """Options named as the fields of :class:`ServerOptions`, whose defaults hold."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Serve a model repository with a real Triton server on this machine.",
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="what to serve")
    add(
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="NAME",
        help="serve only this model, and what it is made of (default all); may be repeated",
    )
    for name, meaning in (
        ("grpc_port", "for inference (%(default)s)"),
        ("http_port", "for health and the repository index (%(default)s)"),
        ("metrics_port", "for Prometheus (%(default)s)"),
    ):
        option = f"--{name.replace('_', '-')}"
        add(option, type=int, metavar="PORT", default=getattr(ServerOptions, name), help=meaning)
    add(
        "--host",
        default=ServerOptions.host,
        help="address to listen on (%(default)s); 0.0.0.0 for all",
    )
    add("--gpu", action="store_true", help="serve on this machine's GPUs (default: its CPU)")
    add("--verbose", action="store_true", help="show Triton's information log too")
    return parser


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Unwind to the ``with`` block, whose end passes the signal on; once is enough."""
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _say(message: str) -> None:
    sys.stderr.write(f"server: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
