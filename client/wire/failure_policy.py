"""What becomes of a request that failed: sent again, to whom and when, or given up.

A recognition changes nothing on the server, so sending it twice does no harm; it is sent again only
where that may help. Everything happens within the one budget of time that the request has:

====================  =============================================================
error                 again
====================  =============================================================
ServerUnavailable     until the budget is used up: queue full, connection lost, restart
ModelNotReady         likewise: the server had the model when it told its contract
ServerFailed          a few times: a process of the server may have died, or the input kills it
all others            no: they would fail again, or the budget is used up
====================  =============================================================

Between two tries lies a random time that grows ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that clients do not
come back all at once, and a full queue is left alone.
"""

import random
from dataclasses import dataclass
from typing import Final

from ..errors import ModelNotReady, ServerError, ServerFailed, ServerUnavailable

MAY_PASS: Final = (ServerUnavailable, ModelNotReady)
"""Errors of a server on its way down or up: it lacks a model whose process died, or which loads."""
_DOUBLINGS: Final = 30


@dataclass(frozen=True)
class FailurePolicy:
    """How often and how soon to try again, and when to leave a server alone.

    The wait before retry ``n`` (from 0) is drawn from 0 to ``first_wait_s * 2**n``, at most
    ``longest_wait_s``. ``failures`` bounds the tries that end with ``ServerFailed``. No
    try begins with less than ``least_try_s`` of the request's time.

    A server that was unavailable is asked for its contract at once, and while it does not tell it
    after ``return_s`` and twice as long each time, at most ``longest_return_s``; it gets no
    requests meanwhile. One that is there and failed ``away_after`` times in a row, while others can
    be used, is left alone for as long, at most ``longest_absence_s``.
    """

    retries: bool = True
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    least_try_s: float = 0.1
    failures: int = 5
    away_after: int = 3
    return_s: float = 0.5
    longest_return_s: float = 5.0
    longest_absence_s: float = 60.0

    def wait_s(self, error: ServerError, tries: int, failures: int, left_s: float) -> float | None:
        """How long to wait after the ``tries``-th try failed (from 1); ``None`` to give up.

        ``failures`` of the tries ended with ``ServerFailed``; ``left_s`` is what is left of
        the request's time.
        """
        again = isinstance(error, MAY_PASS) or (
            isinstance(error, ServerFailed) and failures < self.failures
        )
        if not (self.retries and again):
            return None
        # A try without time to be answered would hide why the others failed behind its deadline.
        spare_s = left_s - self.least_try_s
        longest_s = min(_grown(self.first_wait_s, tries - 1, self.longest_wait_s), spare_s)
        return random.uniform(0, longest_s) if spare_s > 0 else None  # noqa: S311 -- no secret

    def absence_s(self, absences: int) -> float:
        """How long to leave a server alone for the ``absences``-th time (from 1) in a row."""
        return _grown(self.return_s, absences - 1, self.longest_absence_s)


def _grown(first_s: float, doublings: int, most_s: float) -> float:
    return float(min(most_s, first_s * 2 ** min(doublings, _DOUBLINGS)))
