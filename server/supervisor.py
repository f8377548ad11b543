"""Serve, and restart the whole server on the same ports when something dies.

``EmbeddedServer.check`` detects the death of Triton itself or of a model's worker process, which
Triton never restarts. The supervisor does not retry a first start that fails: the cause is in the
options or the repository, and would remain.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from server.errors import OptionsError, RestartLimitError, ServerDiedError, StartError
from server.launcher import EmbeddedServer
from server.options import ServerOptions

Serve = Callable[[EmbeddedServer], NoReturn]
GROWTH: Final = 2.0


@dataclass(frozen=True)
class RestartLimits:
    """At most ``most`` restarts in ``window_s``, the first ``first_s`` after a death.

    Each further death in the window doubles the backoff, up to ``longest_s``.
    """

    most: int = 5
    window_s: float = 300.0
    first_s: float = 0.5
    longest_s: float = 30.0


class Deaths:
    """The deaths within the window of the limits."""

    def __init__(self, limits: RestartLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._times_s: deque[float] = deque()

    def wait_s(self, error: Exception) -> float:
        """The backoff before the restart after this death.

        Raises ``RestartLimitError`` if that restart would exceed the limit.
        """
        limits, now_s = self._limits, self._clock()
        while self._times_s and now_s - self._times_s[0] > limits.window_s:
            self._times_s.popleft()
        if len(self._times_s) >= limits.most:
            raise RestartLimitError(
                f"{error}; restarted {len(self._times_s)} times in the last {limits.window_s:g} s, "
                "giving up: see the log above for the cause"
            ) from error
        self._times_s.append(now_s)
        return min(limits.longest_s, limits.first_s * GROWTH ** (len(self._times_s) - 1))


def serve(
    options: ServerOptions,
    during: Serve,
    limits: RestartLimits | None,
    say: Callable[[str], None],
) -> NoReturn:
    """Serve until ``during``, which is called with each server, raises.

    If something died, or a restart failed, start another server within the limits; without limits,
    raise. Also raises whatever else ``during`` raises, what the first start raises, and
    ``RestartLimitError``.
    """
    deaths = Deaths(limits) if limits else None
    started = False
    while True:
        try:
            with EmbeddedServer(options) as server:
                started = True
                during(server)
        except (ServerDiedError, StartError, OptionsError) as error:
            if deaths is None or not started:
                raise
            wait_s = deaths.wait_s(error)
            say(f"error: {error}; restarting in {wait_s:g} s")
        time.sleep(wait_s)
