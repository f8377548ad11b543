"""``python -m server``: serve a model repository until a signal arrives or something dies.

SIGTERM drains: requests in flight finish first. SIGINT, SIGHUP and any second signal stop without
draining. ``--restart`` restarts the server, within limits, when it or a worker process dies.

Everything goes to standard error: Triton's log, the line that says the server is ready, errors.
The exit status is 0 after a signal, 1 if the server did not start, died, or was restarted too
often, and 2 if the command line is wrong.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from server.errors import EmbeddedServerError, ServerDiedError
from server.launcher import EmbeddedServer
from server.options import ServerOptions
from server.security import SOURCES, Tls, read_restricted_key
from server.supervisor import RestartLimits, serve

DRAIN_SIGNAL: Final = signal.SIGTERM
STOP_SIGNALS: Final = (signal.SIGINT, DRAIN_SIGNAL, signal.SIGHUP)
DRAIN_TIMEOUT_S: Final = 30.0


class Drained(BaseException):
    """SIGTERM arrived: the server finishes its requests in flight, then stops."""


class _Parser(argparse.ArgumentParser):
    """Prints a usage error in one line, and where the options are explained in a second."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nhint: {self.prog} -h explains the options\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    _listen()
    limits = RestartLimits(most=parsed.restart_limit) if parsed.restart else None
    try:
        serve(_options(parser, parsed), lambda server: _watch(server, parsed), limits, _say)
    except EmbeddedServerError as error:
        _say(f"error: {error}")
        return 1
    except (KeyboardInterrupt, Drained):
        _say("stopped")
    return 0


def _watch(server: EmbeddedServer, parsed: argparse.Namespace) -> NoReturn:
    """Block until the server dies or a signal arrives, and raise what ended it."""
    _say(f"ready: {', '.join(server.models)}")
    _say(f"gRPC {server.grpc_url}  HTTP {server.http_url}  metrics {server.metrics_url}")
    try:
        server.watch()
    except Drained:
        _listen()  # a second signal ends the drain
        _say(f"draining: requests in flight have {parsed.drain_timeout_s:g} s to finish")
        try:
            finished = server.drain(parsed.drain_timeout_s)
        except ServerDiedError as error:  # it was stopping anyway: no restart
            _say(f"error: {error}")
            finished = False
        if not finished:
            _say("requests still in flight fail: clients can retry them")
        _ignore()
        raise


def _options(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> ServerOptions:
    names = ("repository", "host", "grpc_port", "http_port", "metrics_port", "gpu", "verbose")
    if bool(parsed.tls_certificate) != bool(parsed.tls_key):
        parser.error("--tls-certificate and --tls-key: give both or none")
    if parsed.tls_client_ca and not parsed.tls_key:
        parser.error("--tls-client-ca: needs --tls-certificate and --tls-key")
    if parsed.restrict_inference and not parsed.restricted_key:
        parser.error("--restrict-inference: needs --restricted-key")
    tls = restricted = None
    if parsed.tls_certificate:
        tls = Tls(parsed.tls_certificate, parsed.tls_key, parsed.tls_client_ca)
    if parsed.restricted_key:
        restricted = read_restricted_key(
            parsed.restricted_key, inference_too=parsed.restrict_inference
        )
    return ServerOptions(
        **{name: getattr(parsed, name) for name in names},
        models=tuple(parsed.models),
        tls=tls,
        restricted=restricted,
    )


def _parser() -> argparse.ArgumentParser:
    """Options are named after the fields of ``ServerOptions`` and take their defaults."""
    parser = _Parser(
        prog="python -m server",
        description="Serve a model repository with a real Triton server on this machine.",
    )
    add = parser.add_argument
    add(
        "--repository",
        type=Path,
        required=True,
        metavar="DIR",
        help="the model repository to serve",
    )
    add("--version", action="version", version=f"%(prog)s {_version()}")
    add(
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="NAME",
        help="serve only this model and its parts (default: all models); may be repeated",
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
    _add_life(parser)
    _add_security(parser)
    return parser


def _add_life(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("start and end").add_argument
    add(
        "--restart",
        action="store_true",
        help="restart the whole server, on the same ports and with growing delays, when Triton or "
        "a model's process dies",
    )
    add(
        "--restart-limit",
        type=_number,
        default=RestartLimits.most,
        metavar="N",
        help=f"give up after this many restarts within {RestartLimits.window_s / 60:g} minutes "
        "(%(default)s)",
    )
    add(
        "--drain-timeout-s",
        type=_seconds,
        default=DRAIN_TIMEOUT_S,
        metavar="S",
        help="seconds that requests in flight have to finish after SIGTERM (%(default)g)",
    )


def _add_security(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("security").add_argument
    certificate = (
        "serve gRPC over TLS with this certificate (PEM). Triton has no TLS for HTTP and metrics, "
        "which then listen on 127.0.0.1 only, whatever --host says"
    )
    client_ca = "accept only clients with a certificate of this authority (PEM)"
    for option, meaning in (
        ("--tls-certificate", certificate),
        ("--tls-key", "the key of the certificate (PEM)"),
        ("--tls-client-ca", client_ca),
    ):
        add(option, type=Path, metavar="FILE", help=meaning)
    add(
        "--restricted-key",
        metavar="KEY=SOURCE",
        help="require this key for administering models, shared memory, traces and logs over gRPC "
        f"and HTTP. Its value comes from {SOURCES}. Triton gets it on its command line, where "
        "users of this machine can see it with ps",
    )
    add("--restrict-inference", action="store_true", help="require the key for inference too")


def _version() -> str:
    try:
        return version("nemo-ctc-triton")
    except PackageNotFoundError:  # a copy of the folder, run without being installed
        return "of unknown version"


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, at least 0")
    return seconds


def _listen() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Unwind to the drain, or to the ``with`` block, whose end passes the signal on to Triton.

    Further signals are ignored, so that they do not disturb the shutdown.
    """
    _ignore()
    raise Drained if number == DRAIN_SIGNAL else KeyboardInterrupt


def _ignore() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _say(message: str) -> None:
    sys.stderr.write(f"server: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
