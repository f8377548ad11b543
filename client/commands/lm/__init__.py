"""``lm``: train, convert and inspect language models."""

from client.commands.lm.choice import main

__all__ = ["main"]
