"""How every command line is read: help in paragraphs, usage errors of one line, and types.

A program of several commands has a module with ``main`` for each, imported when it is called.
"""

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import inf
from typing import Any, Final, NoReturn, TypeVar

_REST_MARK: Final = "``"
WRONG_USAGE: Final = 2


class CommandParser(argparse.ArgumentParser):
    """A parser whose ``description`` may be a module's docstring.

    A usage error is one line and a second that names the help; the exit status is 2.
    """

    def __init__(self, prog: str, description: str | None = None, **more: Any) -> None:
        plain = (description or "").replace(_REST_MARK, "")
        super().__init__(prog=prog, description=plain, formatter_class=_Paragraphs, **more)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the options are explained."""
        self.exit(WRONG_USAGE, f"error: {message}\nhint: {self.prog} -h explains the options\n")


class VersionOption(argparse.Action):
    """``--version``: prints the program's name and what ``const()`` gives, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        """Print it on standard output."""
        print(parser.prog, self.const())  # noqa: T201
        parser.exit()


class _Paragraphs(argparse.HelpFormatter):
    """Fills paragraphs to the terminal's width; those with indented lines stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip("\n").split("\n\n")
        return "\n\n".join(self._fill(each, width, indent) for each in paragraphs)

    @staticmethod
    def _fill(paragraph: str, width: int, indent: str) -> str:
        if any(line.startswith(" ") for line in paragraph.splitlines()):
            return textwrap.indent(paragraph, indent)
        return textwrap.fill(paragraph, width, initial_indent=indent, subsequent_indent=indent)


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
