"""Where the recipe reads real speech from and where it writes what it generates."""

import os
from pathlib import Path

DEMO = Path(__file__).resolve().parent
SPEECH_DATA = Path(os.environ.get("SPEECH_DATA", DEMO.parent.parent / "shared" / "data"))
"""Real speech (AN4, spoken digits), used where it exists; never committed."""

GENERATED = DEMO / "data"
"""Everything the recipe derives: speed-perturbed copies, digit strings, synthetic speech."""
