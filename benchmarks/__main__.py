"""``python -m benchmarks COMMAND``: how fast models and decoders are, and how accurate.

Results go to standard output or ``--output``, messages to standard error. The exit status is 0, or
1 with an error, 2 when the command line is wrong, 130 when interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.errors import BenchmarkError
from client.errors import AsrError

COMMANDS = {
    "graphs": "the exported graphs of some models in bare ONNX Runtime, in turns",
    "decode": "our beam search and other decoders on the same log_probs, one core each",
    "weights": "word errors with greedy, untuned and tuned decoders",
    "hotwords": "words that the language model lacks, found with and without hotwords",
    "times": "word times against a forced alignment",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure exported models and decoders.",
        epilog="\n".join(f"  {name:<12}{summary}" for name, summary in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="COMMAND -h tells which"
    )
    chosen = parser.parse_args(arguments)
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        status: int = import_module(f"benchmarks.commands.{chosen.command}").main(chosen.arguments)
    except (AsrError, BenchmarkError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
