"""Subtitles: words with times into SubRip (SRT) and WebVTT.

Flow: words → ``cues``, each what is shown at a time → the lines of a file. What fits on the
screen is at most two lines of 42 characters for at most 7 s (BBC and Netflix ask for the like).
Where it is known who speaks, or on which channel, each has their own cues, labelled: in WebVTT by a
voice tag, in SRT, which has none, by the name and a colon.
"""

import html
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ...transcript import Word

if TYPE_CHECKING:
    from ...manifests.manifest import Entry
    from ...result import Result

_MOST_CHARACTERS: Final = 42
_LEAST_CHARACTERS: Final = 20
"""For words, beside however long a name."""
_MOST_LINES: Final = 2
_MOST_MS: Final = 7_000
_LEAST_MS: Final = 1_000
"""Less cannot be read; a cue stays that long unless the next one begins."""
_PAUSE_S: Final = 1.0
"""A silence that nothing is shown across."""


@dataclass(frozen=True)
class Cue:
    """One or two lines, and when they are shown, in ms; ``voice`` says who speaks."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    voice: str = ""


def srt(entry: "Entry", result: "Result") -> str:  # noqa: ARG001  # every format takes both
    """A whole SRT file; empty for a failed recording: the format has no comments."""
    blocks = [
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n"
        + (f"{cue.voice}: " if cue.voice else "")
        + "".join(f"{line}\n" for line in cue.lines)
        for number, cue in enumerate(_cues_of(result), start=1)
    ]
    return "\n".join(blocks)


def vtt(entry: "Entry", result: "Result") -> str:
    """A whole WebVTT file; with a note of what went wrong for a failed recording."""
    blocks = [
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n"
        + (f"<v {html.escape(cue.voice, quote=False)}>" if cue.voice else "")
        + "".join(f"{html.escape(line, quote=False)}\n" for line in cue.lines)
        for cue in _cues_of(result)
    ]
    if result.error is not None:
        reason = " ".join(f"{entry.name}: {result.error.message}".split()).replace("-->", "->")
        blocks = [f"NOTE error: {reason}\n"]
    return "\n".join(["WEBVTT\n", *blocks])


def cues(words: Iterable[Word], width: int = _MOST_CHARACTERS) -> list[Cue]:
    """What to show when: in order, without overlap, none longer than what fits.

    A cue ends where the speaker pauses, or else is filled and cut back to the longest pause in its
    second half. Words are only broken where one alone is longer than a line of ``width``
    characters.
    """
    groups = list(_groups([part for word in words for part in _parts(word, width)], width))
    starts = [round(1000 * group[0].start_s) for group in groups]
    made: list[Cue] = []
    for group, start_ms, next_ms in zip(groups, starts, [*starts, sys.maxsize][1:], strict=True):
        start_ms = max(start_ms, made[-1].end_ms if made else 0)  # noqa: PLW2901
        shown_ms = max(round(1000 * group[-1].end_s), start_ms + _LEAST_MS)
        end_ms = min(shown_ms, next_ms, start_ms + _MOST_MS)
        end_ms = max(end_ms, start_ms + 1)  # players refuse a cue of no length
        made.append(Cue(start_ms, end_ms, _lines([word.text for word in group], width)))
    return made


def _cues_of(result: "Result") -> list[Cue]:
    if result.transcript is None:
        return []
    voices: dict[str, list[Word]] = {}
    for segment in result.transcript.segments or ():
        channel = "" if segment.channel is None else f"Channel {segment.channel}"
        voice = " ".join((segment.speaker or channel).split())
        voices.setdefault(voice, []).extend(segment.words)
    voices = voices or {"": list(result.transcript.words)}
    made = [
        replace(cue, voice=voice)
        for voice, words in voices.items()
        for cue in cues(sorted(words, key=lambda word: word.start_s), _width_beside(voice))
    ]
    return sorted(made, key=lambda cue: cue.start_ms)


def _width_beside(voice: str) -> int:
    """How many characters of a line are left beside a name that may stand in it."""
    label = len(f"{voice}: ") if voice else 0
    return max(_MOST_CHARACTERS - label, _LEAST_CHARACTERS)


def _parts(word: Word, width: int) -> Iterator[Word]:
    """The word, in pieces of a line's length where it is longer; they share its time."""
    n_parts = -(-len(word.text) // width)
    length_s = (word.end_s - word.start_s) / max(1, n_parts)
    for part in range(n_parts):
        text = word.text[part * width : (part + 1) * width]
        start_s = word.start_s + part * length_s
        yield Word(text, start_s, start_s + length_s, word.confidence)


def _groups(words: Sequence[Word], width: int) -> Iterator[Sequence[Word]]:
    """The words of each cue."""
    first = 0
    while first < len(words):
        full = _filled(words, first, width)
        end = full
        if full < len(words) and _gap_s(words, full) < _PAUSE_S:
            second_half = range(first + (full - first + 1) // 2, full + 1)
            end = max(second_half, key=lambda at: (_gap_s(words, at), at))
        yield words[first:end]
        first = end


def _filled(words: Sequence[Word], first: int, width: int) -> int:
    """How far a cue could go that begins with the word ``first``."""
    n_lines, n_characters = 1, len(words[first].text)
    for end in range(first + 1, len(words)):
        word = words[end]
        n_characters += 1 + len(word.text)
        if n_characters > width:
            n_lines, n_characters = n_lines + 1, len(word.text)
        too_long = 1000 * (word.end_s - words[first].start_s) > _MOST_MS
        if n_lines > _MOST_LINES or too_long or _gap_s(words, end) >= _PAUSE_S:
            return end
    return len(words)


def _gap_s(words: Sequence[Word], at: int) -> float:
    """The pause before the word ``at``."""
    return words[at].start_s - words[at - 1].end_s


def _lines(texts: Sequence[str], width: int) -> tuple[str, ...]:
    """One line if it fits, else two of lengths as equal as can be."""
    whole = " ".join(texts)
    if len(whole) <= width:
        return (whole,)
    pairs = [(" ".join(texts[:at]), " ".join(texts[at:])) for at in range(1, len(texts))]
    return min(pairs, key=lambda pair: max(map(len, pair)))


def _time(at_ms: int, point: str) -> str:
    seconds, ms = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
