"""Run a real Triton server on this machine for as long as a ``with`` block lasts.

::

    with EmbeddedServer(ServerOptions(repository=Path("model_repository"))) as server:
        ...  # server.grpc_url, server.http_url, server.metrics_url
        server.watch()  # blocks until the server or a worker process dies, then raises

Start: check the repository and the ports, build a temporary backend directory, start
``tritonserver`` tied to this process, wait until it answers, and read every model's state.
Drain: wait until no request is in flight. Stop: SIGTERM, SIGKILL to remaining processes, then
remove what a killed server leaves behind.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NoReturn, Self

from server import processes
from server.backend_directory import build_backend_directory
from server.checks import check_ports, check_repository, model_names
from server.errors import CrashError, ModelLoadError, ServerDiedError, StartError, StubDiedError
from server.http_api import HttpApi
from server.installation import STUB_NAME, find_installation
from server.log import LogRelay
from server.options import GRPC, HTTP, LOOPBACK, METRICS, ServerOptions
from server.triton_command import triton_command, triton_environment

NAME_PREFIX = "nemo_ctc_triton_"  # of temporary directories and shared-memory regions
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # not a temporary file: where Linux keeps regions
ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # compared with, never bound
TETHER = Path(__file__).parent / "tether.py"
READY_POLL_S = 0.1
WATCH_POLL_S = 0.5
DRAIN_POLL_S = 0.05
QUIET_S = 0.5  # between two models a request counts in neither
STOP_GRACE_S = 5.0  # beyond the time for requests in flight
LOG_TIMEOUT_S = 5.0
CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV)


class EmbeddedServer:
    """A Triton server that lives and dies with this process; a context manager.

    The kernel ends the server when the thread that called ``start`` ends, so start it from a
    thread that outlives it.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._cleanup = ExitStack()
        self._process: subprocess.Popen[str] | None = None
        self._log: LogRelay | None = None
        self._stubs: dict[int, str] = {}
        self._models: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the served models."""
        return self._models

    @property
    def grpc_url(self) -> str:
        """Where gRPC clients connect, ``host:port``."""
        return f"{self._client_host(GRPC)}:{self.options.grpc_port}"

    @property
    def http_url(self) -> str:
        """Where HTTP clients connect, with the scheme."""
        return f"http://{self._client_host(HTTP)}:{self.options.http_port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus scrapes."""
        return f"http://{self._client_host(METRICS)}:{self.options.metrics_port}/metrics"

    def start(self) -> None:
        """Start the server and return once every model is ready.

        Raises ``InstallationError``, ``RepositoryError``, ``PortInUseError``, ``OptionsError``,
        ``StartError``, or ``ModelLoadError`` with each failed model's reason. No process keeps
        running then.
        """
        if self._process is not None:
            raise StartError("this server was already started: create another EmbeddedServer")
        try:
            check_repository(self.options)
            check_ports(self.options)
            self._load_models()
            if self.options.gpu:
                self._check_on_gpu()
            self._stubs = self._running_stubs()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise ``ServerDiedError`` or ``StubDiedError`` if something died."""
        process = self._running()
        if (code := process.poll()) is not None:
            raise ServerDiedError(f"the Triton server ended with {_describe(code)}{self._said()}")
        if dead := self._dead_models(process):
            raise StubDiedError(
                f"a worker process of {', '.join(sorted(dead))} died, perhaps out of memory; "
                "Triton does not restart it, and requests to it fail until the server restarts"
            )

    def watch(self) -> NoReturn:
        """Block until the server or a worker process dies, and raise what ``check`` raises."""
        while True:
            self.check()
            time.sleep(WATCH_POLL_S)

    def drain(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` until no request is in flight; whether that succeeded.

        Triton 2.51 fails an ensemble's requests in flight when it stops, so drain first. Triton
        keeps accepting requests meanwhile; those accepted before the call are answered if they take
        less than ``timeout_s``. Triton's metrics show queued requests; the processor time of the
        workers shows running ones. Raises what ``check`` raises.
        """
        deadline_s = time.monotonic() + timeout_s
        quiet_since_s, before = time.monotonic(), -1.0
        while (now_s := time.monotonic()) < deadline_s:
            self.check()
            now = sum(map(processes.used_s, self._stubs))
            if now != before or self._pending():
                quiet_since_s, before = now_s, now
            elif now_s - quiet_since_s >= QUIET_S:
                return True
            time.sleep(DRAIN_POLL_S)
        return False

    def stop(self) -> None:
        """Stop the server and everything it started; does nothing if nothing runs."""
        self._cleanup.close()

    def _load_models(self) -> None:
        """Launch Triton and wait until its models are ready; retry once if it crashes.

        Rarely, on a busy machine, its Python backend aborts
        (``boost::interprocess::lock_exception`` in 2.51), but not twice in a row.
        """
        for is_last in (False, True):
            try:
                self._launch()
                self._wait_until_live()
                self._models = self._ready_models()
            except CrashError as error:
                if is_last:
                    raise
                self.stop()
                sys.stderr.write(f"server: {error}; retrying\n")
            else:
                return

    def _launch(self) -> None:
        installation = find_installation()
        prefix = f"{NAME_PREFIX}{secrets.token_hex(8)}_"
        directory = Path(self._cleanup.enter_context(TemporaryDirectory(prefix=prefix)))
        backends = directory / "backends"
        backends.mkdir()
        build_backend_directory(backends, installation)
        command = triton_command(installation.binary, backends, prefix, self.options)
        with _signals_held_back():  # a signal that raised in here would leak the process
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=triton_environment(gpu=self.options.gpu),
                # Workers put this folder first on sys.path: an empty one shadows nothing.
                cwd=directory,
                # A terminal's signals reach only the launcher; the session identifies workers.
                start_new_session=True,
            )
            self._cleanup.callback(self._end, self._process, prefix)
        if self._process.stdout is not None:
            self._log = LogRelay(self._process.stdout)

    def _wait_until_live(self) -> None:
        options = self.options
        deadline_s = time.monotonic() + options.ready_timeout_s
        while not self._http().is_live():
            self._check_not_ended()
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"the Triton server did not answer within {options.ready_timeout_s:g} s: give "
                    "large models a longer ready_timeout_s"
                )
            time.sleep(READY_POLL_S)
        self._check_not_ended()  # or another server answered

    def _check_not_ended(self) -> None:
        if (code := self._running().poll()) is not None:
            kind = CrashError if -code in CRASHES else StartError
            raise kind(
                f"the Triton server ended with {_describe(code)} before it was ready{self._said()}"
            )

    def _ready_models(self) -> tuple[str, ...]:
        """The served models' names; raises ``ModelLoadError`` unless all are ready."""
        wanted = self.options.models or model_names(self.options.repository)
        try:
            states = self._http().repository_index()
        except (OSError, HTTPException) as error:
            raise StartError(
                f"the Triton server did not list its models: {error}{self._said()}"
            ) from error
        self._check_not_ended()
        ready = {state.name for state in states if state.ready}
        # The index also names models that were not requested: those have no reason.
        reasons = {
            state.name: state.reason
            for state in states
            if not state.ready and (state.reason or state.name in wanted)
        }
        for name in wanted:
            if name not in ready:
                reasons[name] = reasons.get(name) or self._logged_reason(name)
        if reasons:
            raise ModelLoadError(dict(sorted(reasons.items())))
        return tuple(sorted(ready))

    def _check_on_gpu(self) -> None:
        """Without a GPU, Triton silently serves models on the CPU: raise instead."""
        try:
            kinds = [self._http().instance_kinds(model) for model in self._models]
        except (OSError, HTTPException) as error:
            raise StartError(f"the Triton server did not say where models run: {error}") from error
        if not any("KIND_GPU" in kind for kind in kinds):
            raise StartError(
                "expected models on a GPU, the Triton server put every model on the CPU: check "
                "with nvidia-smi that the driver shows a GPU, and that CUDA_VISIBLE_DEVICES does "
                "not hide it; or serve on the CPU"
            )

    def _logged_reason(self, name: str) -> str:
        """The reason from the log: the index gives none for a model that Triton cannot read."""
        logged = self._log.last_error(f"'{name}'") if self._log else ""
        return logged or "Triton gave no reason; check its config.pbtxt and version folders"

    def _pending(self) -> int:
        metrics = HttpApi(self._client_host(METRICS), self.options.metrics_port)
        try:
            return metrics.pending_requests()
        except (OSError, HTTPException):
            return 1  # unknown, so assume that it is busy

    def _running_stubs(self) -> dict[int, str]:
        """The model that each worker process serves, by process id."""
        stubs = {}
        for pid in processes.session_members(self._running().pid):
            arguments = processes.command_line(pid)
            if arguments and Path(arguments[0]).name == STUB_NAME:
                model_file = Path(arguments[1])  # <repository>/<model>/<version>/<file>
                stubs[pid] = model_file.parent.parent.name
        return stubs

    def _dead_models(self, process: "subprocess.Popen[str]") -> set[str]:
        """The models with a dead worker process."""
        return {
            model
            for pid, model in self._stubs.items()
            if not processes.runs_in_session(pid, process.pid)
        }

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise ServerDiedError("the server was not started: call start() first")
        return self._process

    def _said(self) -> str:
        """A clause for messages: the last error in Triton's log, if any."""
        if self._log is None:
            return ""
        self._log.join(LOG_TIMEOUT_S)
        error = self._log.last_error()
        return f"; its log says: {error}" if error else ""

    def _end(self, process: "subprocess.Popen[str]", prefix: str) -> None:
        if self._dead_models(process):
            # Triton would wait until its timeout for the requests that died with the worker.
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(self.options.stop_timeout_s + STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.kill_session(process.pid)
        for region in SHARED_MEMORY.glob(f"{prefix}*"):
            region.unlink(missing_ok=True)
        if self._log is not None:
            self._log.join(LOG_TIMEOUT_S)

    def _http(self) -> HttpApi:
        restricted = self.options.restricted
        headers = restricted.headers if restricted else {}
        return HttpApi(self._client_host(HTTP), self.options.http_port, headers)

    def _client_host(self, service: str) -> str:
        """Clients reach a server on all addresses through the loopback address."""
        host = self.options.host_of(service)
        return LOOPBACK if host == ANY_ADDRESS else host


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block signals to this thread until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
