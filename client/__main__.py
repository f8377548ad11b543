"""Command line: ``nemo-ctc COMMAND …``, in a checkout ``python -m client COMMAND …``.

Results go to standard output or ``--output``, messages and progress to standard error. Exit
status: 0 when all went well, 1 when anything failed, 2 for wrong usage, 130 when interrupted.
Each command is imported when it is called, so that help comes at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from .commands import standard_streams
from .commands.flags import FLAGS
from .commands.parser import Program
from .errors import AsrError


def _version() -> str:
    """The version of this package: of the checkout that it is run from, or as it was installed."""
    import tomllib  # noqa: PLC0415 -- no command is to wait for these
    from importlib.metadata import version  # noqa: PLC0415

    package = Path(__file__).resolve().parent
    if package.name != "client":  # its name in a checkout alone
        return version("nemo-ctc-triton")
    project = tomllib.loads((package.parent / "pyproject.toml").read_text("utf-8"))["project"]
    found: str = project["version"]
    return found


_CLIENT = Program(
    "nemo-ctc",
    "Transcribe with a CTC model on a Triton server.",
    f"{__package__}.commands",
    {
        "manifest": "write a manifest of audio and transcripts, or check one",
        "transcribe": "transcribe recordings to text or JSON Lines",
        "evaluate": "transcribe a manifest and count word and character errors",
        "lm": "train, convert and inspect language models",
        "tune": "choose a beam search's weights on a development set",
        "models": "list a server's models and their contracts",
    },
    _version,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    standard_streams.prepare()
    try:
        status = _CLIENT.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has had enough
        status = 1
    except AsrError as error:
        extra = getattr(error, "extra", "")
        hint = f"; in a checkout: `make extras EXTRAS={extra}`" if extra else ""
        sys.stderr.write(f"error: {error.text(FLAGS)}{hint}\n")
        status = 1
    except OSError as error:
        where = error.filename or "results cannot be written"
        sys.stderr.write(f"error: {where}: {error.strerror or error}\n")
        status = 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        status = 130
    standard_streams.give_up_output()
    return status


if __name__ == "__main__":
    sys.exit(main())
