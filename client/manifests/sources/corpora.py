"""The layouts that speech corpora come in; each yields its utterances, then what has no partner.

Folders hold audio, and a text file for each recording with the same name but ``.txt``, which may
have several lines.

LibriSpeech is a tree: in each chapter's folder a ``*.trans.txt`` of lines ``UTTERANCE TEXT``.
Utterances are named speaker, chapter and number: ``1089-134686-0000``.

Kaldi's data folder has ``wav.scp`` and ``text``, and where there are any ``segments``, ``utt2spk``:
lines of a key and what belongs to it: recording and file in ``wav.scp``, utterance and words in
``text``, utterance, recording, start and end (seconds, -1 for the recording's end) in ``segments``,
utterance and speaker in ``utt2spk``. Without segments each recording is an utterance. Commands in
``wav.scp`` are not run.

Sphinx has a pair: ``NAME.fileids``, paths without ending, and ``NAME.transcription``, a line
``<s> TEXT </s> (ID)`` for each path, whose last part, or all, is ID. The marks of sentence and
silence are no words, and are dropped.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ...errors import ManifestError
from ...utils.shortened import shortened
from .files import (
    AudioFolder,
    Fault,
    Found,
    KeyedLines,
    LeftOut,
    Line,
    Problem,
    Source,
    SourceUtterance,
    files_below,
    keyed_lines,
    open_text,
    read_lines,
)

TEXT_FILE: Final = ".txt"


def read_folders(source: Source) -> Found:
    """Each transcript with its audio, then the audio that has none."""
    audio = AudioFolder(source.audio)
    for path in files_below(source.transcripts, [TEXT_FILE]):
        name = path.relative_to(source.transcripts).with_suffix("")
        try:
            yield SourceUtterance(str(path), audio.find(str(name)), _text_of(path))
        except LeftOut as error:
            yield Problem.of(str(path), error)
    yield from audio.without_transcript()


def _text_of(path: Path) -> str:
    try:
        with open_text(path) as file:
            return file.read()
    except ManifestError as error:  # of many files, one that cannot be read is one left out
        raise LeftOut(error.message, fault=Fault.MALFORMED) from error


CHAPTER: Final = ".trans.txt"
_NAME: Final = re.compile(r"(\d+)-\d+-\d+")


def read_librispeech(source: Source) -> Found:
    """Each line with its audio, then the audio that has none."""
    audio = AudioFolder(source.audio)
    for path in files_below(source.transcripts, [CHAPTER]):
        chapter = path.parent.relative_to(source.transcripts)
        for name, line in keyed_lines(path):
            try:
                recording = audio.find(str(chapter / name))
            except LeftOut as error:
                yield Problem.of(line.where, error)
                continue
            match = _NAME.fullmatch(name)
            yield SourceUtterance(line.where, recording, line.text, speaker=match and match[1])
    yield from audio.without_transcript()


RECORDINGS: Final = "wav.scp"
_TO_THE_END: Final = -1


@dataclass(frozen=True)
class _Piece:
    """Which recording, and from where to where in it, if not all."""

    recording: str
    offset_s: float | None = None
    duration_s: float | None = None


def read_kaldi(source: Source) -> Found:
    """Each utterance in order, then the transcripts that have no audio."""
    folder = source.transcripts
    recordings, texts = _read(folder / RECORDINGS), _read(folder / "text")
    segments, speakers = read_if_there(folder / "segments"), read_if_there(folder / "utt2spk")
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
        yield SourceUtterance(line.where, audio, text, piece.offset_s, piece.duration_s, speaker)
    yield from texts.without_audio(utterances.path)


def _read(path: Path) -> KeyedLines:
    return KeyedLines(path, keyed_lines(path))


def read_if_there(path: Path) -> KeyedLines | None:
    """The lines of a file that may be missing; raises ``ManifestError`` as ``open_text`` does."""
    return _read(path) if path.exists() else None


def _piece(line: Line) -> _Piece:
    recording, start_s, end_s = segment_of(line)
    return _Piece(recording, start_s, None if math.isinf(end_s) else end_s - start_s)


def segment_of(line: Line) -> tuple[str, float, float]:
    """Recording, start and end (seconds, infinite for its own) in a line of ``segments``.

    The line is without its key. Raises ``LeftOut`` for anything else.
    """
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
        raise LeftOut(reason, fault=Fault.MALFORMED)
    return recording, start_s, end_s


def _file_of(recording: Line) -> str:
    if not recording.text:
        raise LeftOut(f"{recording.where} names no file", fault=Fault.MALFORMED)
    if recording.text.endswith("|"):
        raise LeftOut(
            f"{recording.where} has a command, which is not run ({shortened(recording.text)}): "
            "write its audio to a file and name that",
            fault=Fault.UNREADABLE,
        )
    return recording.text


FILE_IDS: Final = ".fileids"
_TRANSCRIPTION: Final = ".transcription"
SPHINX_SUFFIXES: Final = (FILE_IDS, _TRANSCRIPTION)
_TRANSCRIBED: Final = re.compile(r"(?P<text>.*)\((?P<id>\S+)\)")
_MARK: Final = re.compile(r"(?<!\S)<(s|/s|sil)>(?!\S)")


def read_sphinx(source: Source) -> Found:
    """Each file's utterance in order, then the transcripts that have no audio."""
    file_ids = _file_ids(source.transcripts)
    audio = AudioFolder(source.audio)
    transcription = file_ids.with_suffix(_TRANSCRIPTION)
    found = list(_transcription(transcription))
    yield from (each for each in found if isinstance(each, Problem))
    texts = KeyedLines(transcription, (each for each in found if not isinstance(each, Problem)))
    yield from texts.problems
    for line in read_lines(file_ids):
        name = line.text
        key = name if name in texts.lines else PurePosixPath(name).name
        try:
            text = texts.take(key, Fault.NO_TRANSCRIPT).text
            yield SourceUtterance(line.where, audio.find(name), text)
        except LeftOut as error:
            yield Problem.of(line.where, error)
    yield from texts.without_audio(file_ids)


def _file_ids(path: Path) -> Path:
    if path.suffix in SPHINX_SUFFIXES:
        return path.with_suffix(FILE_IDS)
    found = sorted(path.glob(f"*{FILE_IDS}"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise ManifestError.of(
            path,
            f"has {names}, expected one {FILE_IDS} file: name that file",
            options=("Source.transcripts",),
        )
    return found[0]


def _transcription(path: Path) -> Iterator[tuple[str, Line] | Problem]:
    for line in read_lines(path):
        match = _TRANSCRIBED.fullmatch(line.text)
        if match is None:
            yield Problem(line.where, "has no (ID) at its end", Fault.MALFORMED)
        else:
            yield match["id"], Line(line.where, _MARK.sub(" ", match["text"]))
