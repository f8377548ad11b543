"""KenLM's command-line tools: found, fed with a stream, and their failures raised as errors.

They read standard input and write files; ``lmplz`` estimates a model
from text, ``build_binary`` turns ARPA into a binary.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Final, cast

from ..errors import DecoderError

FOLDER_VARIABLE: Final = "KENLM_BIN"
_BUILT: Final = Path(__file__).resolve().parents[2] / ".kenlm" / "bin"
_TAIL_LINES: Final = 5
_is_noise = re.compile(r"[-\d*\s]*|ERROR|===.*|File /dev/stdin isn't.*").fullmatch
"""Progress bars, headings, and the remark that the input is a stream."""


def find_tool(name: str) -> Path:
    """A KenLM tool: in the folder ``KENLM_BIN`` names, else in the project's, else on ``PATH``.

    Raises ``DecoderError`` when it is in none; where ``KENLM_BIN`` is set it is the only one.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    found = shutil.which(name, path=folder or f"{_BUILT}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise DecoderError(
            f"KenLM's {name} is not in {folder or f'{_BUILT} or on PATH'}: build KenLM's tools, or"
            f" set {FOLDER_VARIABLE} to the folder that holds them",
            options=("find_tool()",),
        )
    return Path(found)


@contextmanager
def feed(name: str, *arguments: object) -> Iterator[IO[str]]:
    """Run a tool on the text that the caller writes to the stream; waits until it has ended.

    If the caller fails or is interrupted, the tool is killed. Raises ``DecoderError``, with the
    tool's output, when it cannot run or fails.
    """
    tool = find_tool(name)
    with tempfile.TemporaryFile() as said:
        try:
            process = Popen(
                [tool, *map(str, arguments)],
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=said,
                encoding="utf-8",
            )
        except OSError as error:
            raise DecoderError.of(tool, f"cannot run: {error.strerror}") from error
        stdin = cast("IO[str]", process.stdin)
        try:
            with suppress(BrokenPipeError):  # the tool has ended: its output says why
                yield stdin
                stdin.close()
            process.wait()
        finally:
            process.kill()  # does nothing if it has ended
            with suppress(BrokenPipeError):
                stdin.close()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise _failure(tool, process.returncode, said.read().decode(errors="replace"))


@contextmanager
def scratch(output: Path) -> Iterator[Path]:
    """A temporary folder beside ``output``, on the same disk."""
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        yield Path(folder)


def _failure(tool: Path, status: int, said: str) -> DecoderError:
    if status < 0:
        return DecoderError.of(
            tool,
            f"was killed by signal {-status}: if memory ran out, give KenLM less, or build"
            " a trie, which stays within it",
            options=("BinaryOptions.memory", "BinaryOptions.type"),
        )
    lines = [line for line in said.splitlines() if not _is_noise(line)]
    reason = "; ".join(lines[-_TAIL_LINES:]) or f"it exited with status {status}"
    return DecoderError.of(tool, f"failed: {reason}")
