"""Triton's log on its way to standard error.

A thread relays each line and keeps the last error lines: for some failures, such as a config that
does not parse, Triton gives the reason only in its log.
"""

import sys
import threading
from collections import deque
from contextlib import suppress
from typing import IO

KEPT_LINES = 1000
# Harmless lines, logged on every machine without a GPU or at every stop.
NOISE = (
    "CudaDriverHelper has not been initialized",
    "CUDA driver version is insufficient",
    "no pinned memory pool",
    "Signal (15) received",
)


class LogRelay:
    """Relay ``stream`` to standard error, line by line, until it ends."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._errors: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._relay, name="triton-log", daemon=True)
        self._thread.start()

    def last_error(self, mention: str = "") -> str:
        """The last error line that contains ``mention``, without its time stamp; else empty."""
        matches = [line for line in list(self._errors) if mention in line]
        return matches[-1].partition("] ")[2].strip('"') if matches else ""

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the stream, after its writers have exited."""
        self._thread.join(timeout_s)

    def _relay(self) -> None:
        with self._stream:
            for line in self._stream:
                if any(noise in line for noise in NOISE):
                    continue
                if line.startswith("E"):
                    self._errors.append(line.rstrip())
                # Keep reading even if our own reader is gone: a full pipe would block Triton.
                with suppress(OSError, ValueError):
                    sys.stderr.write(line)
                    sys.stderr.flush()
