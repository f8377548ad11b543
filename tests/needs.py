"""The only two things that a test may be skipped for: real speech and hardware.

Everything else that tests need ``make test`` installs. ``tests/conftest.py`` fails a run in which a
test is skipped for any other reason.
"""

from pathlib import Path

import pytest

SPEECH = "no speech data at"
HARDWARE = "hardware:"


def needs_speech(data: Path) -> pytest.MarkDecorator:
    """Skip unless ``data``, a file or folder below ``SPEECH_DATA``, is there."""
    return pytest.mark.skipif(not data.exists(), reason=f"{SPEECH} {data}: set SPEECH_DATA")


def needs_hardware(*, there: bool, what: str) -> pytest.MarkDecorator:
    """Skip unless the machine is such a one, as ``what`` says."""
    return pytest.mark.skipif(not there, reason=f"{HARDWARE} {what}")


def is_allowed(reason: str) -> bool:
    """Whether a test may be skipped for this reason."""
    return reason.removeprefix("Skipped: ").startswith((SPEECH, HARDWARE))
