"""What was measured of recordings, as tables with their titles."""

from collections.abc import Mapping, Sequence

from benchmarks.measurement import Speed
from benchmarks.recordings.hallucinations import FLOORS, Confidences, Hallucinated
from benchmarks.recordings.hour import Outcome
from benchmarks.recordings.joined import Errors
from benchmarks.recordings.silence import Way
from benchmarks.report import Cells
from benchmarks.tables import spread_cells

Titled = tuple[str, Cells]


def of_errors(found: Sequence[Errors]) -> Titled:
    """Word errors of utterances and of recordings."""
    headings = ("pauses", "decoder", "way", "errors of each seed", "WER")
    rows = [
        (
            each.pauses or "-",
            each.decoder,
            each.way,
            ", ".join(map(str, each.errors)),
            f"{each.rate:.2%}",
        )
        for each in found
    ]
    return f"Word errors in {found[0].words:,} words", Cells(headings, rows)


def of_hour(found: Sequence[Outcome]) -> Titled:
    """Errors, times and memory of one long file."""
    headings = (
        "decoder", "way", "errors", "one by one", "words", "seconds", "peak MiB",
        "end off by ms", "95 %", "most",
    )  # fmt: skip
    rows = [
        (
            each.decoder,
            each.way,
            *(f"{value:,}" for value in (each.errors, each.errors_by_utterance, each.words)),
            f"{each.wall_s:.1f}",
            f"{each.peak_mib:,.0f}",
            f"{each.end_median_ms:.0f}",
            f"{each.end_percentile_95_ms:.0f}",
            f"{each.end_largest_ms:.0f}",
        )
        for each in found
    ]
    title = f"{found[0].audio_s / 60:.1f} minutes in one file through the command line"
    return title, Cells(headings, rows)


def of_noise(found: Sequence[Hallucinated]) -> Titled:
    """Words written where there is no speech."""
    headings = ("noise", "way", "words an hour", "taken for speech")
    rows = [
        (
            each.noise,
            each.way,
            f"{each.words_per_hour:,.0f}",
            "-" if each.speech_share is None else f"{each.speech_share:.1%}",
        )
        for each in found
    ]
    return f"{found[0].audio_s / 60:g} minutes of each noise, greedy", Cells(headings, rows)


def of_confidence(found: Sequence[Hallucinated], speech: Mapping[str, Confidences]) -> Titled:
    """How many words have a low confidence: those that nobody said, and those of real speech."""
    headings = ("words of", "words", *(f"below {floor:g}" for floor in FLOORS))
    of_speech = {
        f"{each.noise}, {each.way}": each.confidences for each in found if each.confidences.words
    }
    rows = [
        (name, f"{confidences.words:,}", *(f"{share:.1%}" for share in confidences.shares))
        for name, confidences in (of_speech | dict(speech)).items()
    ]
    return "Words with a low confidence", Cells(headings, rows)


def of_silence(found: Sequence[Way]) -> Titled:
    """Speed where half is silent."""
    headings = ("way", "RTFx", "quartiles", "ratio", "client's CPU s", "server's CPU s")
    rows = [
        (
            each.speed.name,
            *spread_cells(each.speed.rtfx, each.speed.rtfx_low, each.speed.rtfx_high, digits=0),
            f"{each.speed.ratio:.2f}",
            f"{each.client_cpu_s:.2f}",
            "-" if each.server_cpu_s is None else f"{each.server_cpu_s:.2f}",
        )
        for each in found
    ]
    return f"Half silent, rounds: {found[0].speed.runs}", Cells(headings, rows)


def of_cost(found: Speed) -> Titled:
    """Speed of voice activity detection."""
    spread = spread_cells(found.rtfx, found.rtfx_low, found.rtfx_high, digits=0)
    headings = ("one core", "RTFx of speech", "quartiles")
    return f"Voice activity detection by itself, rounds: {found.runs}", Cells(
        headings, [(found.name, *spread)]
    )
