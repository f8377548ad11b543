"""LibriSpeech's tree: in each chapter's folder a ``*.trans.txt`` of lines ``UTTERANCE TEXT``.

Utterances are named speaker, chapter and number: ``1089-134686-0000``.
"""

import re
from typing import Final

from .files import AudioFolder, files_below, keyed_lines
from .source import Found, LeftOut, Problem, Source, Utterance

TRANSCRIPTS: Final = ".trans.txt"
_NAME: Final = re.compile(r"(\d+)-\d+-\d+")


def read(source: Source) -> Found:
    """Each line with its audio, then the audio that has none."""
    audio = AudioFolder(source.audio)
    for path in files_below(source.transcripts, [TRANSCRIPTS]):
        chapter = path.parent.relative_to(source.transcripts)
        for name, line in keyed_lines(path):
            try:
                recording = audio.find(str(chapter / name))
            except LeftOut as error:
                yield Problem.of(line.where, error)
                continue
            match = _NAME.fullmatch(name)
            yield Utterance(line.where, recording, line.text, speaker=match and match[1])
    yield from audio.without_transcript()
