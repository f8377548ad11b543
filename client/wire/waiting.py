"""Waiting for a server that is still starting."""

import logging
from collections.abc import Callable
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

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_STARTING: Final = (ServerUnavailable, ServerFailed, DeadlineExceeded)


def retry_until_ready(ask: Callable[[], T], wait_s: float) -> T:
    """What ``ask`` gives; asked again for ``wait_s`` seconds while the server may be starting.

    Raises its last error, and at once one that waiting does not mend.
    """
    end_s = monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    told = False
    while True:
        try:
            return ask()
        except ServerError as error:
            left_s = end_s - monotonic()
            if left_s <= 0 or not may_be_starting(error):
                raise
            if not told:
                _log.warning("%s; waiting for it, %.0f s at most", error, left_s)
                told = True
        sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def may_be_starting(error: AsrError) -> bool:
    """Whether the server may do better once it has started."""
    if isinstance(error, ModelNotReady):
        return error.may_become_ready
    return isinstance(error, _STARTING)
