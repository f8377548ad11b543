"""Whole numbers on command lines."""

import argparse
from collections.abc import Callable


def whole_number(least: int) -> Callable[[str], int]:
    """A whole number from ``least`` on, for argparse."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r}: expected a whole number of at least {least}"
            )
        return int(text)

    return number
