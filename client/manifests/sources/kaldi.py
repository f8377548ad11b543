"""Kaldi's data folder: ``wav.scp`` and ``text``, and where there are any ``segments``, ``utt2spk``.

All are lines of a key and what belongs to it: recording and file in ``wav.scp``, utterance and
words in ``text``, utterance, recording, start and end (seconds, -1 for the recording's end) in
``segments``, utterance and speaker in ``utt2spk``. Without segments each recording is an utterance.
Commands in ``wav.scp`` are not run.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...utils.shortened import shortened
from .files import KeyedLines, Line, keyed_lines
from .source import Fault, Found, LeftOut, Problem, Source, Utterance

RECORDINGS: Final = "wav.scp"
_TO_THE_END: Final = -1


@dataclass(frozen=True)
class _Piece:
    """Which recording, and from where to where in it, if not all."""

    recording: str
    offset_s: float | None = None
    duration_s: float | None = None


def read(source: Source) -> Found:
    """Each utterance in order, then the transcripts that have no audio."""
    folder = source.transcripts
    recordings, texts = _read(folder / RECORDINGS), _read(folder / "text")
    segments, speakers = _read_if_there(folder / "segments"), _read_if_there(folder / "utt2spk")
    utterances = segments or recordings
    for keyed in (recordings, texts, segments):
        yield from keyed.problems if keyed else ()
    for name, line in utterances.lines.items():
        try:
            text = texts.take(name, Fault.NO_TRANSCRIPT).text
            piece = _piece(line) if segments else _Piece(name)
            recording = recordings.take(piece.recording, Fault.NO_AUDIO)
            audio = source.audio / _file_of(recording)
        except LeftOut as error:
            yield Problem.of(line.where, error)
            continue
        speaker = speakers.lines[name].text if speakers and name in speakers.lines else None
        yield Utterance(line.where, audio, text, piece.offset_s, piece.duration_s, speaker)
    yield from texts.without_audio(utterances.path)


def _read(path: Path) -> KeyedLines:
    return KeyedLines(path, keyed_lines(path))


def _read_if_there(path: Path) -> KeyedLines | None:
    return _read(path) if path.exists() else None


def _piece(line: Line) -> _Piece:
    try:
        recording, start, end = line.text.split()
        start_s, end_s = float(start), float(end)
    except ValueError:
        recording, start_s, end_s = "", math.nan, math.nan
    if end_s == _TO_THE_END:
        end_s = math.inf
    if not 0 <= start_s < end_s:
        found = shortened(repr(line.text))
        reason = f"has {found}, expected RECORDING START END in seconds, END -1 for all"
        raise LeftOut(Fault.MALFORMED, reason)
    return _Piece(recording, start_s, None if math.isinf(end_s) else end_s - start_s)


def _file_of(recording: Line) -> str:
    if not recording.text:
        raise LeftOut(Fault.MALFORMED, f"{recording.where} names no file")
    if recording.text.endswith("|"):
        raise LeftOut(
            Fault.UNREADABLE,
            f"{recording.where} has a command, which is not run ({shortened(recording.text)}): "
            "write its audio to a file and name that",
        )
    return recording.text
