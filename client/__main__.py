"""Command line: ``python -m client COMMAND …``.

Results go to standard output or ``--output``, messages and progress to standard error. Exit
status: 0 when all went well, 1 when anything failed, 2 for wrong usage, 130 when interrupted.
Each command is imported when it is called, so that help comes at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from client.errors import AsrError

_COMMANDS = {
    "transcribe": "transcribe recordings to text or JSON Lines",
    "evaluate": "transcribe a manifest and count word and character errors",
    "lm": "train, convert and inspect language models",
    "tune": "choose a beam search's weights on a development set",
    "models": "list a server's models and what their contracts say",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m client",
        description="Transcribe with a CTC model on a Triton server.",
        epilog="\n".join(f"  {name:<12}{summary}" for name, summary in _COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=_COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="COMMAND -h tells which"
    )
    chosen = parser.parse_args(arguments)
    try:
        status: int = import_module(f"client.commands.{chosen.command}").main(chosen.arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AsrError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
