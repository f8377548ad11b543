"""``python -m demo``: serve the demo model, transcribe the clips both ways, print a table.

The embedded Triton runs only while the clips are transcribed; ``make serve`` keeps one running.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from client import AsrError, Transcriber
from client.commands.flags import FLAGS
from client.commands.parser import CommandParser
from client.decoding import DecoderOptions
from client.decoding.preset import read_preset
from client.evaluation.metrics import ErrorCounts, word_errors
from demo.paths import DEMO
from server import EmbeddedServer, EmbeddedServerError, ServerOptions, free_ports

MODEL = "demo"
MANIFEST = DEMO / "clips" / "manifest.jsonl"
PRESET = DEMO / "beam.json"
"""Language model and weights, chosen on AN4's ``dev`` list; see ``demo/README.md``."""


@dataclass(frozen=True)
class Run:
    """All clips with one decoder: transcripts in order, and how long it took."""

    name: str
    texts: tuple[str, ...]
    elapsed_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when every clip was transcribed, 130 when interrupted."""
    parser = CommandParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), metavar="DIR")
    options = parser.parse_args(arguments)
    clips = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    sys.stderr.write("starting Triton on this machine's CPU\n")
    try:
        # Free ports, so that the demo disturbs no server that runs already.
        with EmbeddedServer(
            ServerOptions(options.repository, models=(MODEL,), **free_ports())
        ) as server:
            runs = [
                _transcribe(server.grpc_url, clips, "greedy", None),
                _transcribe(server.grpc_url, clips, "beam + KenLM", read_preset(PRESET).beam),
            ]
    except (AsrError, EmbeddedServerError) as error:
        told = error.text(FLAGS) if isinstance(error, AsrError) else error
        sys.stderr.write(f"demo: {told}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    _print(clips, runs)
    return 0


def _transcribe(
    url: str, clips: Sequence[dict[str, str]], name: str, beam: DecoderOptions | None
) -> Run:
    paths = [MANIFEST.parent / clip["audio_filepath"] for clip in clips]
    with Transcriber(url, MODEL, decoder=beam) as transcriber:
        list(transcriber.transcribe(paths[:1]))  # a first run allocates memory
        start_s = time.perf_counter()
        results = list(transcriber.transcribe(paths))
        elapsed_s = time.perf_counter() - start_s
    texts = []
    for result in results:
        if result.transcript is None:
            raise result.error or AsrError("no transcript and no error")
        texts.append(result.transcript.text)
    return Run(name, tuple(texts), elapsed_s)


def _print(clips: Sequence[dict[str, str]], runs: Sequence[Run]) -> None:
    references = [clip["text"] for clip in clips]
    audio_s = sum(float(clip["duration"]) for clip in clips)
    table = Table(title="Demo clips through Triton", show_lines=False)
    table.add_column("clip", no_wrap=True)
    table.add_column("reference")
    for run in runs:
        table.add_column(run.name)
    for index, clip in enumerate(clips):
        texts = [run.texts[index] for run in runs]
        marked = [
            Text(text, style="" if text.split() == clip["text"].split() else "red")
            for text in texts
        ]
        table.add_row(Path(clip["audio_filepath"]).stem, clip["text"], *marked)
    table.add_section()
    counts = [word_errors(references, run.texts) for run in runs]
    table.add_row("WER", f"{counts[0].reference} words", *map(_rate, counts))
    speeds = (f"{audio_s / run.elapsed_s:.0f} times real time" for run in runs)
    table.add_row("speed", f"{audio_s:.0f} s of audio", *speeds)
    width = None if sys.stdout.isatty() else 120
    Console(width=width, markup=False, emoji=False).print(table)


def _rate(counts: ErrorCounts) -> str:
    return f"{counts.rate:.1%} ({counts.errors} errors)"


if __name__ == "__main__":
    sys.exit(main())
