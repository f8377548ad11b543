"""Sphinx's pair: ``NAME.fileids``, paths without ending, and ``NAME.transcription``.

The transcription has a line ``<s> TEXT </s> (ID)`` for each path, whose last part, or all, is ID.
The marks of sentence and silence are no words, and go.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from ...errors import ManifestError
from .files import AudioFolder, KeyedLines, Line, read_lines
from .source import Fault, Found, LeftOut, Problem, Source, Utterance

FILE_IDS: Final = ".fileids"
_TRANSCRIPTION: Final = ".transcription"
SUFFIXES: Final = (FILE_IDS, _TRANSCRIPTION)
_LINE: Final = re.compile(r"(?P<text>.*)\((?P<id>\S+)\)")
_MARK: Final = re.compile(r"(?<!\S)<(s|/s|sil)>(?!\S)")


def read(source: Source) -> Found:
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
            yield Utterance(line.where, audio.find(name), text)
        except LeftOut as error:
            yield Problem.of(line.where, error)
    yield from texts.without_audio(file_ids)


def _file_ids(path: Path) -> Path:
    if path.suffix in SUFFIXES:
        return path.with_suffix(FILE_IDS)
    found = sorted(path.glob(f"*{FILE_IDS}"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise ManifestError(
            f"{path}: has {names}, expected one {FILE_IDS} file: name it with --transcripts"
        )
    return found[0]


def _transcription(path: Path) -> Iterator[tuple[str, Line] | Problem]:
    for line in read_lines(path):
        match = _LINE.fullmatch(line.text)
        if match is None:
            yield Problem(line.where, "has no (ID) at its end", Fault.MALFORMED)
        else:
            yield match["id"], Line(line.where, _MARK.sub(" ", match["text"]))
