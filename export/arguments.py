"""The command line's parser and the types of its options.

Standard library only, as the engine command is.
"""

import argparse
import math
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from export.record import DISTRIBUTION


class Parser(argparse.ArgumentParser):
    """A parser that answers wrong usage with a line and where the help is, not with the usage."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"export: {message}\nhint: {self.prog} -h explains the options\n")

    def add_version(self) -> None:
        """Add ``--version``."""
        try:
            installed = version(DISTRIBUTION)
        except PackageNotFoundError:  # run from a checkout, as in NVIDIA's containers
            installed = "not installed"
        self.add_argument("--version", action="version", version=f"{DISTRIBUTION} {installed}")


def whole_number(text: str) -> int:
    """The type of a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def number(least: float, most: float, unit: str) -> Callable[[str], float]:
    """The type of a number from ``least`` to ``most``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {least:g} to {most:g} {unit}")
        return value

    return parse
