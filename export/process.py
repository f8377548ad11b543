"""What each command of this package sets up for its process before it works.

Standard library only at import, as the engine command is.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable

Progress = Callable[[str], None]
"""Told of each step of long work."""


def silent(_step: str) -> None:
    """Progress that nobody looks at."""


def interrupt_on_termination() -> None:
    """Take SIGTERM and SIGHUP as interrupts: staging folders and servers go with the process."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def sleep_when_idle() -> None:
    """Let torch's threads sleep while they wait, not spin: call it before torch is imported.

    Verification runs NeMo and ONNX Runtime in turns, and on a machine with other work the threads
    of one would keep the cores from the other.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def quiet_nemo() -> None:
    """Keep the chatter of NeMo and its telemetry out of the way of our own messages.

    NeMo's errors are silenced too: each comes back as an exception that we report.
    """
    warnings.filterwarnings("ignore")
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging  # noqa: PLC0415  # help must not wait for it

    nemo_logging.setLevel(logging.CRITICAL)
