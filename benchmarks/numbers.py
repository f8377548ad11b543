"""Numbers on command lines."""

import argparse
from collections.abc import Callable
from typing import Any


def above(kind: type[Any], most: float = float("inf")) -> Callable[[str], Any]:
    """A number above 0, for argparse."""

    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value <= most or value == float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return value

    number.__name__ = kind.__name__
    return number
