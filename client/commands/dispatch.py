"""Command lines of several commands: each a module with ``main``, imported when it is called."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Program:
    """A program whose ``commands``, name to summary, are modules of ``package``."""

    name: str
    description: str
    package: str
    commands: Mapping[str, str]

    def run(self, arguments: Sequence[str] | None) -> int:
        """Run the command of the arguments; returns its exit status."""
        parser = argparse.ArgumentParser(
            prog=self.name,
            description=self.description,
            epilog="\n".join(f"  {name:<12}{text}" for name, text in self.commands.items()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument(
            "command", choices=self.commands, metavar="COMMAND", help="one of those below"
        )
        parser.add_argument(
            "arguments", nargs=argparse.REMAINDER, metavar="…", help="COMMAND -h tells which"
        )
        chosen = parser.parse_args(arguments)
        status: int = import_module(f"{self.package}.{chosen.command}").main(chosen.arguments)
        return status
