"""The version of this package: of the checkout that it is run from, or as it was installed."""

from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "nemo-ctc-triton"
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def package_version() -> str:
    """The version as ``pyproject.toml`` has it, such as ``0.1.0``."""
    import tomllib  # noqa: PLC0415 -- no other command is to wait for these
    from importlib.metadata import version  # noqa: PLC0415

    if _PACKAGE.name != "client":  # its name in a checkout alone
        return version(DISTRIBUTION)
    project = tomllib.loads((_PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    found: str = project["version"]
    return found
