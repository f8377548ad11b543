"""The circumstances of a load and what came of it, in plain sentences."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.load.summary import Summary

LEGEND = {
    "RTFx": "seconds of audio transcribed in a second of wall time",
    "p50 … p99": "milliseconds that this percentage of requests does not exceed, from the planned "
    "sending to the answer",
    "encoder batch": "utterances in one run of the encoder, in the mean",
    "padding": "share of the encoder's frames that belong to no utterance",
    "CPU ms": "milliseconds of processor time for each second of audio",
}


def about(document: Mapping[str, Any]) -> list[str]:
    """Where, when, with what and on what, in sentences."""
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
    if settings["decoder"] == "beam":
        decoder = "beam search " + (
            f"in {settings['processes']} processes" if settings["processes"] else "in one thread"
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
    quick = min(
        (each for each in summaries if each.median["latency_ms"]),
        key=lambda each: each.median["latency_ms"]["p50"],
    )
    failed = sum(each.median["failed"] for each in summaries)
    requests = sum(each.median["requests"] for each in summaries)
    tiles = [
        ("Most throughput", f"{best.median['rtfx']:,.0f}", f"times real time, {best.level.label}"),
        (
            "Quickest answers",
            f"{quick.median['latency_ms']['p50']:,.0f} ms",
            f"median, {quick.level.label}",
        ),
    ]
    if best.median["server"] is not None:
        cpu_s = best.median["server"]["cpu_s_per_audio_s"]
        tiles.append(
            ("Server's CPU", f"{3600 * cpu_s:,.0f} s", f"for an hour of audio, {best.level.label}")
        )
    share = failed / (failed + requests) if failed + requests else 0.0
    tiles.append(("Failed", f"{share:.1%}" if failed else "none", f"of {requests:,.0f} requests"))
    return tiles
