"""Optional packages: imported when they are first needed, and named where they are missing."""

from importlib import import_module
from typing import Any, Final

from ..errors import MissingPackage

NATIVE: Final = "nemo-ctc-search"
"""The distribution of the compiled search."""


def import_extra(module: str, extra: str, purpose: str, package: str | None = None) -> Any:
    """Import a ``module`` that is, or imports, a package of this project's ``extra``.

    A relative name is relative to ``package``.

    Raises ``MissingPackage`` where it is not installed; ``purpose`` says what needs it.
    """
    try:
        return import_module(module, package)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, extra, purpose) from error


def missing(package: str, extra: str, purpose: str) -> MissingPackage:
    """The error for a package that is not installed, with the command that installs it."""
    return _missing(package, purpose, f"'.[{extra}]'", extra)


def import_native(purpose: str) -> Any:
    """Import ``nemo_ctc_search``, the compiled search and its language models.

    Raises ``MissingPackage`` where it is not installed; ``purpose`` says what needs it.
    """
    try:
        return import_module("nemo_ctc_search")
    except ModuleNotFoundError as error:
        raise _missing(NATIVE, purpose, "./client/native") from error


def _missing(package: str, purpose: str, source: str, extra: str = "") -> MissingPackage:
    compiled = " (it is compiled, with g++, cmake and zlib1g-dev)" if package == NATIVE else ""
    return MissingPackage(
        f"{purpose} needs the package {package}, which is not installed: run pip install "
        f"{source} in the checkout of nemo-ctc-triton{compiled}",
        package=package,
        extra=extra,
    )
