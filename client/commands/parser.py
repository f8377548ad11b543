"""How every command reads its arguments: help in paragraphs, and usage errors of one line."""

import argparse
import textwrap
from typing import Any, Final, NoReturn

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
