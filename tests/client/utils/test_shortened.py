"""Messages stay short, whatever was given."""

from pathlib import Path

import numpy as np
import pytest

from client.utils.shortened import shortened


def endless():
    """A dictionary that holds itself."""
    given = {"big": b"x" * 10**6}
    given["self"] = given
    return given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("a" * 10**6, "(1,000,000 characters)"),
        (Path("/very") / ("long/" * 100), "characters"),
        (b"x" * 10**6, "<1,000,000 bytes>"),
        (bytearray(10**6), "<1,000,000 bytes>"),
        ([0.1] * 160_000, "[0.1, 0.1, 0.1, ...]"),
        (tuple(range(10**5)), "(0, 1, 2, ...)"),
        ([b"x" * 10**6], "[<1,000,000 bytes>]"),
        (np.zeros(160_000, np.float32), "<ndarray of float32 [160000]>"),
        ([np.zeros((2, 9))] * 9, "<ndarray of float64 [2, 9]>"),
        ({"a": {"b": {"c": {"d": [1] * 10**6}}}}, "..."),
        (endless(), "<1,000,000 bytes>"),
        (ValueError("x" * 10**6), "characters"),
        (7, "7"),
        ("a.wav", "a.wav"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_given_is_told_shortly(given, says):
    text = shortened(given)
    assert says in text
    assert len(text) < 250
