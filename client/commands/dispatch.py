"""Command lines of several commands: each a module with ``main``, imported when it is called."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from .parser import CommandParser, VersionOption


@dataclass(frozen=True)
class Program:
    """A program whose ``commands``, name to summary, are modules of ``package``.

    With a ``version`` it has the option ``--version``.
    """

    name: str
    description: str
    package: str
    commands: Mapping[str, str]
    version: Callable[[], str] | None = None

    def run(self, arguments: Sequence[str] | None) -> int:
        """Run the command of the arguments; returns its exit status."""
        summaries = "\n".join(f"  {name:<12}{text}" for name, text in self.commands.items())
        parser = CommandParser(
            self.name,
            f"{self.description}\n\ncommands:\n{summaries}",
            usage=f"{self.name} COMMAND …",
            epilog=f"{self.name} COMMAND -h explains a command.",
        )
        add = parser.add_argument
        add("command", choices=self.commands, metavar="COMMAND", help=argparse.SUPPRESS)
        rest = add("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        rest.required = False  # so that only COMMAND is missed where there is none
        if self.version is not None:
            text = "show the version and exit"
            add("--version", action=VersionOption, nargs=0, const=self.version, help=text)
        chosen = parser.parse_args(arguments)
        status: int = import_module(f"{self.package}.{chosen.command}").main(chosen.arguments)
        return status
