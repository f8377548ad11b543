"""Two folders, or one: audio, and a text file for each recording with the same name but ``.txt``.

A transcript may have several lines.
"""

from pathlib import Path
from typing import Final

from ...errors import ManifestError
from .files import AudioFolder, files_below, open_text
from .source import Fault, Found, LeftOut, Problem, Source, Utterance

TRANSCRIPT: Final = ".txt"


def read(source: Source) -> Found:
    """Each transcript with its audio, then the audio that has none."""
    audio = AudioFolder(source.audio)
    for path in files_below(source.transcripts, [TRANSCRIPT]):
        name = path.relative_to(source.transcripts).with_suffix("")
        try:
            yield Utterance(str(path), audio.find(str(name)), _text(path))
        except LeftOut as error:
            yield Problem.of(str(path), error)
    yield from audio.without_transcript()


def _text(path: Path) -> str:
    try:
        with open_text(path) as file:
            return file.read()
    except ManifestError as error:  # of many files, one that cannot be read is one left out
        raise LeftOut(Fault.MALFORMED, str(error)) from error
