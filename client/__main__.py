"""Command line: ``python -m client COMMAND …``.

Results go to standard output or ``--output``, messages and progress to standard error. Exit
status: 0 when all went well, 1 when anything failed, 2 for wrong usage, 130 when interrupted.
Each command is imported when it is called, so that help comes at once.
"""

import os
import sys
from collections.abc import Sequence

from client.commands.dispatch import Program
from client.errors import AsrError

_CLIENT = Program(
    "python -m client",
    "Transcribe with a CTC model on a Triton server.",
    "client.commands",
    {
        "manifest": "write a manifest of audio and transcripts, or check one",
        "transcribe": "transcribe recordings to text or JSON Lines",
        "evaluate": "transcribe a manifest and count word and character errors",
        "lm": "train, convert and inspect language models",
        "tune": "choose a beam search's weights on a development set",
        "models": "list a server's models and what their contracts say",
    },
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        status = _CLIENT.run(arguments)
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
