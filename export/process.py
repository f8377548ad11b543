"""Settings of the process that each command of this package makes first.

Standard library only at import, as the engine command is.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with each step of long work."""


def silent(_step: str) -> None:
    """Ignore progress."""


def interrupt_on_termination() -> None:
    """Let SIGTERM and SIGHUP raise ``KeyboardInterrupt``, so that everything is cleaned up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def sleep_when_idle() -> None:
    """Let torch's idle threads sleep, not spin. Call it before torch is imported.

    Verification runs NeMo and ONNX Runtime in turns: spinning threads of one would take the cores
    from the other.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def quiet_nemo() -> None:
    """Silence the logging of NeMo, its errors included: each is an exception that we report."""
    warnings.filterwarnings("ignore")
    # ONNX Runtime's wheels send telemetry unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging  # noqa: PLC0415  # help must not wait for it

    nemo_logging.setLevel(logging.CRITICAL)
