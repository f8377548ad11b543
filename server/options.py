"""Options of the embedded server, and their defaults."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.errors import OptionsError
from server.security import RestrictedKey, Tls

LOOPBACK: Final = "127.0.0.1"
GRPC: Final = "gRPC"
HTTP: Final = "HTTP"
METRICS: Final = "metrics"


@dataclass(frozen=True)
class ServerOptions:
    """How to serve a model repository. Ports are TCP ports on ``host``.

    ``stop_timeout_s`` is how long requests in flight may take to finish when the server stops.
    ``verbose`` also shows Triton's information log, not only warnings and errors.
    ``models`` names the models to load, an ensemble with its steps; empty means all.
    ``gpu`` lets Triton use this machine's GPUs, on which instances of kind AUTO then run.
    ``tls`` secures gRPC; HTTP and metrics, which have no TLS, then listen on this machine only.
    ``restricted`` is the key for administration.
    ``extra_arguments`` go to ``tritonserver`` unchanged.

    Raises ``OptionsError`` on ports out of range or used twice, and on negative times.
    """

    repository: Path
    host: str = LOOPBACK
    grpc_port: int = 8001
    http_port: int = 8000
    metrics_port: int = 8002
    ready_timeout_s: float = 300.0
    stop_timeout_s: int = 30
    verbose: bool = False
    models: tuple[str, ...] = ()
    gpu: bool = False
    tls: Tls | None = None
    restricted: RestrictedKey | None = None
    extra_arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject options that no server could start with."""
        for name, port in self.ports().items():
            if not 0 < port < 2**16:
                raise OptionsError(f"{name} port is {port}, expected 1 to {2**16 - 1}")
        if len(set(self.ports().values())) < len(self.ports()):
            raise OptionsError(f"ports are {self.ports()}, expected three different ones")
        if self.ready_timeout_s <= 0 or self.stop_timeout_s <= 0:
            raise OptionsError(
                f"timeouts are {self.ready_timeout_s} s to be ready and {self.stop_timeout_s} s to "
                "stop, expected both to be above 0"
            )

    def ports(self) -> dict[str, int]:
        """The port of each service, by the service's name."""
        return {GRPC: self.grpc_port, HTTP: self.http_port, METRICS: self.metrics_port}

    def host_of(self, service: str) -> str:
        """The address that a service listens on."""
        return LOOPBACK if self.tls is not None and service != GRPC else self.host
