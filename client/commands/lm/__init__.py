"""``lm``: train, convert and inspect language models."""

from .choice import main

__all__ = ["main"]
