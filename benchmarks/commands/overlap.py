"""``overlap``: greedy decoding and beam search end to end, in turns, server and decoder pinned.

The server has some cores of its own, the client with its decoding processes others. The server goes
on computing while the client decodes, so beam search costs little until decoding is the slower of
the two; which one is, their CPU time tells.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.table import Table

from benchmarks.errors import LoadError, SpeechError
from benchmarks.load.loop import Target
from benchmarks.load.packages import PACKAGES
from benchmarks.load.target import embedded
from benchmarks.measurement import Speed, summarise, time_in_turns
from benchmarks.report import write_report
from client import Transcriber, TransportOptions
from client.audio import Clip
from client.commands.streams import tables
from client.decoding import BeamOptions
from client.decoding.preset import read_preset
from client.errors import ManifestError
from client.manifests.manifest import read_manifest

BUSY: Final = 0.9
"""A side that computes for this share of the time is what limits."""


@dataclass(frozen=True)
class Side:
    """One decoder's speed, and the share of the time that each side was busy on its cores."""

    speed: Speed
    server_busy: float
    client_busy: float

    @property
    def limit(self) -> str:
        """What a faster machine would have to be faster at."""
        busier = max(self.server_busy, self.client_busy)
        if busier < BUSY:
            return "neither"
        return "decoding" if self.client_busy == busier else "server"


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    beam = read_preset(parsed.decoder_config).beam
    if beam is None:
        raise SpeechError(f"{parsed.decoder_config} is for greedy decoding, expected beam search")
    with _pinned(parsed) as target:
        sides = _measure(target, beam, parsed)
    tables(sys.stdout).print(_table(sides, parsed))
    figures = {
        "cores": {"server": parsed.server_cores, "client": parsed.client_cores},
        "in_flight": parsed.in_flight,
        "processes": parsed.processes,
        "sides": [{**asdict(side), "limit": side.limit} for side in sides],
    }
    write_report(parsed.output, PACKAGES, ["overlap", *arguments], figures)
    return 0


@contextmanager
def _pinned(parsed: argparse.Namespace) -> Iterator[Target]:
    """A server on its cores, and this process on others; children stay where they were born."""
    before = os.sched_getaffinity(0)
    wanted = {*parsed.server_cores, *parsed.client_cores}
    if not wanted <= before:
        raise LoadError(f"cores are {sorted(wanted)}, this machine lets us use {sorted(before)}")
    try:
        os.sched_setaffinity(0, parsed.server_cores)
        with embedded(parsed.repository, parsed.model, gpu=False) as target:
            os.sched_setaffinity(0, parsed.client_cores)
            yield target
    finally:
        os.sched_setaffinity(0, before)


def _measure(target: Target, beam: BeamOptions, parsed: argparse.Namespace) -> list[Side]:
    clips = list(_clips(parsed.manifest))
    transport = TransportOptions(max_in_flight=parsed.in_flight)
    greedy = Transcriber(target.url, target.model, options=transport)
    search = Transcriber(
        target.url, target.model, decoder=beam, processes=parsed.processes, options=transport
    )
    cores = (len(parsed.server_cores), len(parsed.client_cores))
    with greedy, search:
        busy: dict[str, list[tuple[float, float]]] = {"greedy": [], "beam": []}
        jobs = {
            "greedy": _job(greedy, clips, target, busy["greedy"]),
            "beam": _job(search, clips, target, busy["beam"]),
        }
        audio_s = sum(result.duration_s for result in greedy.transcribe(clips))
        speeds = summarise(time_in_turns(jobs, parsed.repeats), audio_s)
    return [
        Side(speed, *(statistics.median(share) / n for share, n in zip(shares, cores, strict=True)))
        for speed in speeds
        for shares in [zip(*busy[speed.name], strict=True)]
    ]


def _clips(manifest: Path) -> Iterator[Clip]:
    for entry in read_manifest(manifest):
        if isinstance(entry.item, ManifestError):
            raise entry.item
        yield entry.item


def _job(
    transcriber: Transcriber,
    clips: Sequence[Clip],
    target: Target,
    busy: list[tuple[float, float]],
) -> Callable[[], None]:
    """Transcribe everything once, and note how many cores' worth each side computed."""

    def run() -> None:
        start_s = perf_counter()
        before = target.probe.resources(start_s)
        for result in transcriber.transcribe(clips):
            if result.error is not None:
                raise result.error
        end_s = perf_counter()
        after = target.probe.resources(end_s)
        if before.server is None or after.server is None:
            raise LoadError("the server's processes are not to be seen: /proc is needed")
        wall_s = end_s - start_s
        server_s = after.server.cpu_s - before.server.cpu_s
        busy.append((server_s / wall_s, (after.client.cpu_s - before.client.cpu_s) / wall_s))

    return run


def _table(sides: Sequence[Side], parsed: argparse.Namespace) -> Table:
    table = Table(title=f"{parsed.model}, end to end, {parsed.repeats} rounds")
    table.add_column("decoder", no_wrap=True)
    for heading in ("RTFx", "quartiles", "ratio", "server busy", "client busy", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for side in sides:
        speed = side.speed
        table.add_row(
            speed.name,
            f"{speed.rtfx:.0f}",
            f"{speed.rtfx_low:.0f} - {speed.rtfx_high:.0f}",
            f"{speed.ratio:.2f}",
            f"{side.server_busy:.0%}",
            f"{side.client_busy:.0%}",
            side.limit,
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks overlap", description=__doc__)
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="served for as many cores")
    add("--model", required=True, metavar="NAME", help="a model in it")
    add("--manifest", type=Path, required=True, metavar="M.jsonl", help="recordings")
    add("--decoder-config", type=Path, required=True, metavar="PRESET.json", help="beam search")
    add("--server-cores", type=int, nargs="+", default=[0], metavar="N", help="numbers (0)")
    add("--client-cores", type=int, nargs="+", default=[1], metavar="N", help="numbers (1)")
    add("--processes", type=int, default=0, help="to decode in, 0: the client's thread (0)")
    add("--in-flight", type=int, default=16, help="requests (16)")
    add("--repeats", type=int, default=7, help="rounds (7)")
    add("--output", type=Path, metavar="JSON", help="file for the figures and their circumstances")
    return parser
