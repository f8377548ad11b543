"""``lm train|convert|info``: each a module of its own, imported when it is called."""

import argparse
from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "train": "train a model on text, in the characters of an acoustic model",
    "convert": "build a KenLM binary from an ARPA file, in another case if need be",
    "info": "say what a model is, how it fits a text, and what speaks against it",
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m client lm",
        description="Language models for beam search, with KenLM.",
        epilog="\n".join(f"  {name:<12}{summary}" for name, summary in _COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=_COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="COMMAND -h tells which"
    )
    chosen = parser.parse_args(arguments)
    status: int = import_module(f"client.commands.lm.{chosen.command}").main(chosen.arguments)
    return status
