"""Segments as lines of fields between spaces: NIST's RTTM and CTM, and Kaldi's ``segments``.

RTTM has a line ``SPEAKER file channel start duration <NA> <NA> name <NA> <NA>``, the last field
optional; lines of NIST's other types are skipped. CTM has a line for each word: ``file channel
start duration word``, then what belongs to the word; words less than 0.6 s apart on one channel of
a file are one span. Kaldi has ``utterance recording start end``, end -1 for the recording's own,
and speakers in a file ``utt2spk`` in the same folder.

Channels are numbers, or A and B for 1 and 2; ``<NA>`` is none. Most diarizers run on the mean of
the channels and write 1 (Kaldi's write 0) whatever the recording has. So channels only count where
the file has several for one recording; if one of them is 0, that recording's count from 0.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from ..audio import Span
from ..audio.options import MOST_CHANNELS
from ..audio.voice_activity import VadOptions
from ..errors import AsrError, ManifestError
from ..utils.shortened import shortened
from .sources.corpora import read_if_there, segment_of
from .sources.files import KeyedLines, Line, keyed

SPEAKERS: Final = "utt2spk"
_THE_END_S: Final = 1e9
"""In place of an end that is the recording's."""

Found: TypeAlias = tuple[str | None, tuple[Span, ...]]
"""The recording, as the file calls it, and spans of it; ``None`` for any recording."""

_NONE: Final = "<NA>"
_PAUSE_S: Final = VadOptions.min_silence_s  # recordings are cut there too
_RTTM_TYPES: Final = frozenset(
    "SPEAKER SPKR-INFO SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT SU IP "
    "CB A/P".split()
)
_CHANNELS: Final = {
    **{str(channel): channel for channel in range(MOST_CHANNELS + 1)},
    "A": 1,
    "B": 2,
    _NONE: None,
}


@dataclass(frozen=True)
class _Timed:
    """A line of RTTM, or words of CTM; ``channel`` is the file's."""

    line: int
    recording: str
    channel: int | None
    start_s: float
    end_s: float
    speaker: str | None = None


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    return ((number, line) for number, line in enumerate(lines, start=1) if line)


def problem(line: int | None, error: AsrError) -> ManifestError:
    """The error of a line, whose file is not known here."""
    return ManifestError(error.message, line=line)


def exact(seconds: float) -> float:
    """Without what adding two decimal fractions leaves: 0.1 + 0.2 is 0.3."""
    return round(seconds, 9)


def is_rttm(line: bytes) -> bool:
    """Whether it begins with one of NIST's types."""
    return _fields(line)[0] in _RTTM_TYPES


def is_ctm(line: bytes) -> bool:
    """Whether it has two numbers and a word after file and channel."""
    fields = _fields(line)
    return len(fields) >= 5 and all(map(_is_number, fields[2:4]))


def is_kaldi(line: bytes) -> bool:
    """Whether it has two numbers after utterance and recording, and no more."""
    fields = _fields(line)
    return len(fields) == 4 and all(map(_is_number, fields[2:4]))


# Each format's function takes the path: Kaldi's has a file beside it.


def read_rttm(_: Path, lines: Sequence[bytes]) -> Iterator[Found | ManifestError]:
    """Each ``SPEAKER`` line's span, and the errors of lines."""
    turns = []
    for number, line in numbered(lines):
        try:
            turns += _turns(number, _fields(line))
        except ManifestError as error:
            yield problem(number, error)
    yield from _spans(turns)


def read_ctm(_: Path, lines: Sequence[bytes]) -> Iterator[Found | ManifestError]:
    """The spans of words without a pause, and the errors of lines."""
    channels = defaultdict(list)
    for number, line in numbered(lines):
        try:
            word = _word(number, _fields(line))
        except ManifestError as error:
            yield problem(number, error)
        else:
            channels[word.recording, word.channel].append(word)
    yield from _spans([turn for words in channels.values() for turn in _joined(words)])


def read_kaldi(path: Path, lines: Sequence[bytes]) -> Iterator[Found | ManifestError]:
    """Each line's span, and the errors of lines; raises when ``utt2spk`` cannot be read."""
    utt2spk = path.with_name(SPEAKERS)
    speakers = read_if_there(utt2spk) or KeyedLines(utt2spk, ())
    for each in speakers.problems:
        yield ManifestError(f"{each.where} {each.reason}", path=utt2spk)
    for number, line in numbered(lines):
        utterance, rest = keyed(Line("", " ".join(_fields(line))))
        try:
            recording, start_s, end_s = segment_of(rest)
            speaker = speakers.lines[utterance].text if utterance in speakers.lines else None
            yield recording, (Span(start_s, min(end_s, _THE_END_S), speaker=speaker or None),)
        except AsrError as error:
            yield problem(number, error)


def _fields(line: bytes) -> list[str]:
    """Split at ASCII's white space alone; names may be in any encoding, as those of files."""
    return [field.decode("utf-8", "surrogateescape") for field in line.split()]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _turns(line: int, fields: Sequence[str]) -> list[_Timed]:
    """The turn of an RTTM line; none of a line of another type."""
    kind, *others = fields
    if kind not in _RTTM_TYPES:
        raise ManifestError(f"begins with {quoted(kind)}, expected SPEAKER, as RTTM has it")
    if kind != "SPEAKER":
        return []
    if len(others) not in {8, 9}:
        raise ManifestError(
            f"has {len(fields)} fields, expected 9 or 10: SPEAKER FILE CHANNEL START DURATION <NA> "
            "<NA> NAME <NA> <NA>, names without spaces"
        )
    name = others[6]
    return [_timed(line, others, None if name == _NONE else name)]


def _word(line: int, fields: Sequence[str]) -> _Timed:
    if len(fields) < 5:
        raise ManifestError(
            f"has {len(fields)} fields, expected at least 5: FILE CHANNEL START DURATION WORD"
        )
    return _timed(line, fields)


def _timed(line: int, fields: Sequence[str], speaker: str | None = None) -> _Timed:
    """Fields that begin with file, channel, start and duration."""
    recording, name, start, duration = fields[:4]
    if name.upper() not in _CHANNELS:
        raise ManifestError(
            f"the channel is {quoted(name)}, expected 1 to {MOST_CHANNELS}, A, B or {_NONE}"
        )
    start_s, duration_s = _seconds("start", start), _seconds("duration", duration)
    end_s = exact(start_s + duration_s)
    return _Timed(line, recording, _CHANNELS[name.upper()], start_s, end_s, speaker)


def _seconds(what: str, field: str) -> float:
    seconds = float(field) if _is_number(field) else math.nan
    if not 0 <= seconds < math.inf:
        raise ManifestError(f"the {what} is {quoted(field)}, expected seconds, at least 0")
    return seconds


def quoted(value: object) -> str:
    """The value in messages."""
    return shortened(repr(value))


def _joined(words: Iterable[_Timed]) -> list[_Timed]:
    """The words of one channel, those without a pause between them as one."""
    turns: list[_Timed] = []
    for word in sorted(words, key=lambda word: word.start_s):
        if turns and exact(word.start_s - turns[-1].end_s) < _PAUSE_S:
            turns[-1] = replace(turns[-1], end_s=max(turns[-1].end_s, word.end_s))
        else:
            turns.append(word)
    return turns


def _spans(turns: Sequence[_Timed]) -> Iterator[Found | ManifestError]:
    channels = defaultdict(set)
    for turn in turns:
        channels[turn.recording].update({turn.channel} - {None})
    for turn in turns:
        others, channel = channels[turn.recording], turn.channel
        if channel is not None:
            channel = None if len(others) == 1 else channel + (0 in others)
        try:
            yield turn.recording, (Span(turn.start_s, turn.end_s, channel, turn.speaker),)
        except AsrError as error:
            yield problem(turn.line, error)
