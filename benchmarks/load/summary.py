"""Repeats of each level put together, and what that says in a table and in sentences."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, Final

from benchmarks.load.figures import encoder_batch
from benchmarks.load.sending import CLOSED, Level
from benchmarks.measurement import quartiles
from benchmarks.report import Cells

NONE: Final = "-"
LEGEND: Final = {
    "RTFx": "seconds of audio transcribed in a second of wall time",
    "p50 … p99": "milliseconds that this percentage of requests does not exceed, from the planned "
    "sending to the answer",
    "encoder batch": "utterances in one run of the encoder, in the mean",
    "padding": "share of the encoder's frames that belong to no utterance",
    "CPU ms": "milliseconds of processor time for each second of audio",
}


@dataclass(frozen=True)
class Summary:
    """A level's figures over its repeats: of each figure its median and its quartiles."""

    level: Level
    repeats: int
    median: Mapping[str, Any]
    low: Mapping[str, Any]
    high: Mapping[str, Any]

    def spread(self, *names: str) -> dict[str, float]:
        """One figure's median and quartiles; ``names`` lead to it."""
        parts = {part: getattr(self, part) for part in ("median", "low", "high")}
        return {part: reduce(getitem, names, figures) for part, figures in parts.items()}


def by_level(points: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """One summary for each level, closed loops first, lightest first."""
    groups: dict[Level, list[Mapping[str, Any]]] = {}
    for point in points:
        level = Level(point["kind"], point["level"])
        groups.setdefault(level, []).append(point["figures"])
    ordered = sorted(groups, key=lambda level: (level.kind != CLOSED, level.value))
    return [_summary(level, groups[level]) for level in ordered]


def table(summaries: Sequence[Summary]) -> Cells:
    """A row for each summary; columns that nothing is known for are left out."""
    rows = [_row(summary) for summary in summaries]
    headings = [name for name in rows[0] if {row[name] for row in rows} != {NONE}]
    return Cells(headings, [[row[heading] for heading in headings] for row in rows])


def about(document: Mapping[str, Any]) -> list[str]:
    """Where, when, with what and on what a sweep was measured, in sentences."""
    settings, lengths = document["settings"], document["lengths_s"]
    packages = ", ".join(f"{name} {number}" for name, number in document["packages"].items())
    where = (
        "the embedded Triton server on the same machine, with a Python process between Triton and "
        "ONNX Runtime: do not take its latency for the NGC container's"
        if settings["repository"]
        else f"the server at {settings['url']}"
    )
    how = (
        f"{settings['requests']} requests" if settings["requests"] else f"{settings['seconds']:g} s"
    )
    decoder = "greedy decoding"
    if settings["decoder"] != "greedy":
        decoder = "beam search " + (
            f"in {settings['threads']} threads" if settings["threads"] else "in one thread"
        )
    machine = f"{document['cpu']} with {document['cpus']} processors"
    shape = f"{min(lengths):.1f} to {max(lengths):.1f} s, {statistics.mean(lengths):.1f} s"
    versions = f"Revision {document['revision'] or 'unknown'}, Python {document['python']}"
    warm = f"after {settings['warmup_s']:g} s of warming up"
    return [
        f"Measured on {document['date'][:10]} by a client on {machine}.",
        f"Served by {where}.",
        f"Each load lasted {how} {warm}; loads took turns.",
        f"Audio: {document['audio']}; {len(lengths)} utterances of {shape} in the mean; {decoder}.",
        f"{versions}, {packages}.",
    ]


def headline(summaries: Sequence[Summary]) -> list[tuple[str, str, str]]:
    """The few figures to remember: what, how much, and at which load."""
    best = max(summaries, key=lambda each: each.median["rtfx"])
    answered = (each for each in summaries if each.median["latency_ms"])
    quick = min(answered, key=lambda each: each.median["latency_ms"]["p50"])
    p50_ms = quick.median["latency_ms"]["p50"]
    failed = sum(each.median["failed"] for each in summaries)
    requests = sum(each.median["requests"] for each in summaries)
    at = best.level.label
    tiles = [
        ("Most throughput", f"{best.median['rtfx']:,.0f}", f"times real time, {at}"),
        ("Quickest answers", f"{p50_ms:,.0f} ms", f"median, {quick.level.label}"),
    ]
    if best.median["server"] is not None:
        cpu_s = best.median["server"]["cpu_s_per_audio_s"]
        tiles.append(("Server's CPU", f"{3600 * cpu_s:,.0f} s", f"for an hour of audio, {at}"))
    share = failed / (failed + requests) if failed + requests else 0.0
    tiles.append(("Failed", f"{share:.1%}" if failed else "none", f"of {requests:,.0f} requests"))
    return tiles


def _summary(level: Level, figures: Sequence[Mapping[str, Any]]) -> Summary:
    median = _combine(figures, statistics.median)
    low = _combine(figures, lambda values: quartiles(values)[0])
    high = _combine(figures, lambda values: quartiles(values)[1])
    return Summary(level, len(figures), median, low, high)


def _combine(several: Sequence[Any], how: Any) -> Any:
    """The same structure with each number combined; ``None`` where a repeat has none."""
    several = [each for each in several if each is not None]
    if not several:
        return None
    if isinstance(several[0], Mapping):
        keys = dict.fromkeys(key for each in several for key in each)
        return {key: _combine([each.get(key) for each in several], how) for key in keys}
    return how(several)


def _row(summary: Summary) -> dict[str, str]:
    figures = summary.median
    latency = figures["latency_ms"] or {}
    transcript = figures["transcript_ms"] or {}
    server = figures["server"] or {}
    spread = ""
    if summary.repeats > 1:
        spread = f" ({_number(summary.low['rtfx'])} - {_number(summary.high['rtfx'])})"
    return {
        "load": summary.level.label,
        "RTFx": f"{_number(figures['rtfx'])}{spread}",
        "requests/s": f"{figures['requests_per_s']:.1f}",
        **{f"{q} ms": _number(latency.get(q)) for q in ("p50", "p90", "p95", "p99")},
        "transcript p95 ms": _number(transcript.get("p95")),
        "encoder batch": _number(encoder_batch(figures["mean_batch"])),
        "padding": f"{figures['padding_share']:.1%}",
        "server CPU ms": _number(server.get("cpu_s_per_audio_s"), "", 1000),
        "client CPU ms": _number(figures["client"]["cpu_s_per_audio_s"], "", 1000),
        "server MB": _number(server.get("rss_last_mb")),
        "GPU": _number(figures["gpu_share"], "%", 100),
        "failed": f"{figures['failed']:.0f}",
    }


def _number(value: Any, unit: str = "", factor: float = 1.0) -> str:
    if value is None:
        return NONE
    value *= factor
    digits = 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"
