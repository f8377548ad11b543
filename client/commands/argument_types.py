"""Types of arguments, for argparse: numbers with bounds, and seconds."""

import argparse
from collections.abc import Callable
from math import inf
from typing import TypeVar

Number = TypeVar("Number", int, float)


def whole_number(least: int) -> Callable[[str], int]:
    """A whole number of at least ``least``."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r}: expected a whole number of at least {least}"
            )
        return int(text)

    return number


def positive(kind: type[Number], most: float = inf) -> Callable[[str], Number]:
    """A finite number above 0, and of at most ``most``."""
    limit = "" if most == inf else f" and of at most {most:g}"

    def number(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not 0 < value <= most or value == inf:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r}: expected a {what} above 0{limit}")
        return value

    return number


def seconds(text: str) -> float:
    """A finite number of seconds, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, at least 0")
    return value
