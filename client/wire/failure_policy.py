"""Which failed requests are retried, after which backoff, and how long a failing server is ejected.

Recognition changes nothing on the server, so a retry does no harm; a request is retried only if
that may help. All tries share the request's one deadline:

====================  =============================================================
error                 retryable
====================  =============================================================
ServerUnavailable     until the deadline: queue full, connection lost, restart
ModelNotReady         until the deadline: the server had the model when it sent its contract
ServerFailed          a few times: a server process may have died, or the input kills it
all others            no: a retry would fail again, or the deadline has passed
====================  =============================================================

The backoff between two tries is random and grows ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that clients do not
return all at once and a full queue can drain. Connecting waits for a server that is still starting.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final, TypeVar

from ..errors import (
    AsrError,
    DeadlineExceeded,
    ModelNotReady,
    ServerError,
    ServerFailed,
    ServerUnavailable,
)

TRANSIENT: Final = (ServerUnavailable, ModelNotReady)
"""Errors of a server that stops or starts: it lacks a model whose process died, or that loads."""
_DOUBLINGS: Final = 30


@dataclass(frozen=True)
class FailurePolicy:
    """How often to retry, after which backoff, and when to eject a server.

    The backoff before retry ``n`` (from 0) is drawn from 0 to ``first_backoff_s * 2**n``, at most
    ``longest_backoff_s``. ``max_failures`` bounds the tries that end with ``ServerFailed``. No try
    starts with less than ``least_try_s`` left of the request's deadline.

    A server that was unavailable is probed at once. If the probe cannot read its contract the
    server is ejected: it gets no requests until one does. The second probe comes after
    ``first_probe_s``, each further one twice as late, at most ``longest_probe_s``. A server that
    answers but failed ``eject_after`` times in a row, while others can be used, is ejected for
    ``first_probe_s``, then for twice as long each time, at most ``longest_ejection_s``.
    """

    retries: bool = True
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 5.0
    least_try_s: float = 0.1
    max_failures: int = 5
    eject_after: int = 3
    first_probe_s: float = 0.5
    longest_probe_s: float = 5.0
    longest_ejection_s: float = 60.0

    def backoff_s(
        self, error: ServerError, tries: int, failures: int, left_s: float
    ) -> float | None:
        """The backoff after the ``tries``-th try failed (from 1); ``None`` to give up.

        ``failures`` of the tries ended with ``ServerFailed``; ``left_s`` is left of the deadline.
        """
        retryable = isinstance(error, TRANSIENT) or (
            isinstance(error, ServerFailed) and failures < self.max_failures
        )
        if not (self.retries and retryable):
            return None
        # A try without time for its reply would hide the others' error behind a missed deadline.
        spare_s = left_s - self.least_try_s
        longest_s = min(_grown(self.first_backoff_s, tries - 1, self.longest_backoff_s), spare_s)
        return random.uniform(0, longest_s) if spare_s > 0 else None  # noqa: S311 -- no secret

    def ejection_s(self, ejections: int) -> float:
        """How long to eject a server for the ``ejections``-th time (from 1) in a row."""
        return _grown(self.first_probe_s, ejections - 1, self.longest_ejection_s)


def _grown(first_s: float, doublings: int, most_s: float) -> float:
    return float(min(most_s, first_s * 2 ** min(doublings, _DOUBLINGS)))


_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_STARTING: Final = (ServerUnavailable, ServerFailed, DeadlineExceeded)


def retry_until_ready(ask: Callable[[], T], wait_s: float) -> T:
    """The result of ``ask``, retried for ``wait_s`` seconds while the server may be starting.

    Raises its last error, and at once an error that waiting does not mend.
    """
    end_s = monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    logged = False
    while True:
        try:
            return ask()
        except ServerError as error:
            left_s = end_s - monotonic()
            if left_s <= 0 or not may_be_starting(error):
                raise
            if not logged:
                _log.warning("%s; waiting for it, %.0f s at most", error.message, left_s)
                logged = True
        sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def may_be_starting(error: AsrError) -> bool:
    """Whether the error may pass once the server has started."""
    if isinstance(error, ModelNotReady):
        return error.may_become_ready
    return isinstance(error, _STARTING)
