"""Serve, and start again what dies: the whole server, on the same ports.

What died is known from :meth:`EmbeddedServer.check`: Triton itself, or the process of a model,
which Triton never restarts. A server that does not even start the first time is not tried again:
what is wrong is in its options or its repository, and stays so.
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
    """At most ``most`` restarts in ``window_s``, which begin ``first_s`` after a death.

    Each further death in the window doubles the wait, up to ``longest_s``.
    """

    most: int = 5
    window_s: float = 300.0
    first_s: float = 0.5
    longest_s: float = 30.0


class Deaths:
    """Those within the window of the limits."""

    def __init__(self, limits: RestartLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._times_s: deque[float] = deque()

    def wait_s(self, error: Exception) -> float:
        """How long to wait before the restart that this death asks for.

        Raises :class:`RestartLimitError` when it would be one too many.
        """
        limits, now_s = self._limits, self._clock()
        while self._times_s and now_s - self._times_s[0] > limits.window_s:
            self._times_s.popleft()
        if len(self._times_s) >= limits.most:
            raise RestartLimitError(
                f"{error}; it was restarted {len(self._times_s)} times in the last "
                f"{limits.window_s:g} s and is given up: see its log above for what it dies of"
            ) from error
        self._times_s.append(now_s)
        return min(limits.longest_s, limits.first_s * GROWTH ** (len(self._times_s) - 1))


def serve(
    options: ServerOptions,
    during: Serve,
    limits: RestartLimits | None,
    say: Callable[[str], None],
) -> NoReturn:
    """Serve until ``during``, which is called with each server, raises what ends it.

    When something died, or a restart failed, there is another server, within the limits; without
    limits there is none. Raises what ``during`` raises beside that, what the first start raises,
    and :class:`RestartLimitError`.
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
            say(f"error: {error}; starting it again in {wait_s:g} s")
        time.sleep(wait_s)
