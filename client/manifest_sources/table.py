"""A table with a header: CSV, or TSV as Common Voice's, whose quotation marks are text.

Its rows choose the utterances: other audio in the folder is no concern of theirs.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from client.errors import ManifestError
from client.manifest_sources.files import AudioFolder, open_text
from client.manifest_sources.source import Fault, Found, LeftOut, Problem, Source, Utterance

TSV: Final = ".tsv"
SUFFIXES: Final = (".csv", TSV)
AUDIO_COLUMNS: Final = (
    *("audio_filepath", "audio_file", "audio_path", "audio", "path", "file_name", "filename"),
    *("file", "wav_filename", "wav_path", "wav"),
)
TEXT_COLUMNS: Final = ("text", "sentence", "transcript", "transcription")
_SPEAKER_COLUMNS: Final = ("speaker", "speaker_id", "client_id")
_DELIMITERS: Final = (",", ";", "\t", "|")


def read(source: Source) -> Found:
    """Each row's utterance."""
    audio = AudioFolder(source.audio)
    path = source.transcripts
    with open_text(path) as file:
        rows = _reader(path, file)
        header: list[str] = []
        with suppress(StopIteration, csv.Error):
            header = [name.strip().lower() for name in next(rows)]
        audio_column = _column(path, header, source.audio_column, AUDIO_COLUMNS)
        text_column = _column(path, header, source.text_column, TEXT_COLUMNS)
        speaker_column = next((name for name in _SPEAKER_COLUMNS if name in header), None)
        for where, row in _numbered(path, rows):
            try:
                cells = _cells(header, row)
                recording = audio.find(cells[audio_column])
            except LeftOut as error:
                yield Problem.of(where, error)
                continue
            speaker = cells[speaker_column] if speaker_column else None
            yield Utterance(where, recording, cells[text_column], speaker=speaker or None)


def _reader(path: Path, file: TextIO) -> Any:
    if path.suffix.lower() == TSV:
        return csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = file.readline()
    file.seek(0)
    delimiter = max(_DELIMITERS, key=header.count)
    return csv.reader(file, delimiter=delimiter, strict=True)


def _numbered(path: Path, rows: Any) -> Iterator[tuple[str, list[str] | csv.Error]]:
    """Each row that is not blank, or what is wrong with it, and where it ends."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            row = error
        if row:
            yield f"{path} line {rows.line_num}", row


def _cells(header: Sequence[str], row: list[str] | csv.Error) -> dict[str, str]:
    if isinstance(row, csv.Error):
        raise LeftOut(Fault.MALFORMED, f"is no row of a table: {row}")
    if len(row) != len(header):
        reason = f"has {len(row)} cells, expected {len(header)} as the header has"
        raise LeftOut(Fault.MALFORMED, reason)
    return dict(zip(header, map(str.strip, row), strict=True))


def _column(path: Path, header: Sequence[str], chosen: str | None, usual: Sequence[str]) -> str:
    names = usual if chosen is None else [chosen.lower()]
    found = next((name for name in names if name in header), None)
    if found is None:
        raise ManifestError(
            f"{path}: has the columns {', '.join(header) or '(none)'}, expected one of "
            f"{', '.join(names)}: name them with --audio-column and --text-column"
        )
    return found
