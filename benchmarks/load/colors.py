"""One colour for each stage, after Okabe and Ito, whom all eyes can tell apart."""

from typing import Final

LIGHT: Final = {
    "queue": "#a7adb5",
    "preprocessor": "#56b4e9",
    "encoder": "#0072b2",
    "decoder": "#009e73",
    "other": "#cc79a7",
    "wire": "#e69f00",
    "decoding": "#d55e00",
}
DARK: Final = LIGHT | {"queue": "#6e7681", "encoder": "#3a93d6", "decoder": "#12b886"}
"""Lighter where the dark ground would swallow them."""
