"""``python -m benchmarks COMMAND``: how fast models and decoders are, and how accurate.

Results go to standard output or ``--output``, messages to standard error. The exit status is 0, or
1 with an error, 2 when the command line is wrong, 130 when interrupted.
"""

import os
import sys
from collections.abc import Sequence

from benchmarks.errors import BenchmarkError
from client.commands.flags import FLAGS
from client.commands.parser import Program
from client.errors import AsrError

_BENCHMARKS = Program(
    "python -m benchmarks",
    "Measure exported models and decoders.",
    "benchmarks.commands",
    {
        "serve": "load on a server at several levels: throughput, latency, where the time goes",
        "soak": "constant load for a long time: does memory grow?",
        "overload": "several times what a server can do: goodput, refusals, recovery",
        "chaos": "bulk transcription while server and client are killed: is anything lost?",
        "scale": "cost against audio length and requests in flight",
        "crosscheck": "the same load from Triton's perf_analyzer",
        "peers": "NeMo, onnx-asr, sherpa-onnx and ours on the same weights and clips, in turns",
        "recordings": "long recordings cut at pauses and into windows, and noise without speech",
        "decode": "our beam search and other decoders on the same log_probs, one core each",
    },
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        status = _BENCHMARKS.run(arguments)
    except (AsrError, BenchmarkError, OSError) as error:
        told = error.text(FLAGS) if isinstance(error, AsrError) else error
        sys.stderr.write(f"error: {told}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
