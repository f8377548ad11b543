"""A table: CSV, or TSV as Common Voice's, whose quotation marks are text.

Its header names the columns. If the first row names a recording instead, there is no header, and
columns are numbered from 1. Only the rows' recordings count: other audio in the folder is ignored.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

from ...errors import ManifestError
from .files import AudioFolder, Fault, Found, LeftOut, Problem, Source, SourceUtterance, open_text

TSV: Final = ".tsv"
SUFFIXES: Final = (".csv", TSV)
AUDIO_COLUMNS: Final = (
    *("audio_filepath", "audio_file", "audio_path", "audio", "path", "file_name", "filename"),
    *("file", "wav_filename", "wav_path", "wav"),
)
TEXT_COLUMNS: Final = ("text", "sentence", "transcript", "transcription")
_SPEAKER_COLUMNS: Final = ("speaker", "speaker_id", "client_id")
_DELIMITERS: Final = (",", ";", "\t", "|")
_Row: TypeAlias = tuple[str, list[str] | csv.Error]
"""Where a row ends, and its cells or its error."""


def read(source: Source) -> Found:
    """Each row's utterance."""
    audio = AudioFolder(source.audio)
    path = source.transcripts
    with open_text(path) as file:
        rows = _numbered(path, _reader(path, file))
        first = next(rows, None)
        cells = [] if first is None or isinstance(first[1], csv.Error) else first[1]
        header = [name.strip().lower() for name in cells]
        audio_columns: Sequence[str] = AUDIO_COLUMNS
        text_columns: Sequence[str] = TEXT_COLUMNS
        if first is not None and (recordings := _without_header(source, audio, header, cells)):
            rows = chain([first], rows)
            header = _numbers(cells)
            audio_columns = recordings
            text_columns = [*set(header).difference(recordings)] if len(header) == 2 else []
        audio_column = _column(path, header, source.audio_column, audio_columns)
        text_column = _column(path, header, source.text_column, text_columns)
        speaker_column = next((name for name in _SPEAKER_COLUMNS if name in header), None)
        for where, row in rows:
            try:
                found = _cells(header, row)
                recording = audio.find(found[audio_column])
            except LeftOut as error:
                yield Problem.of(where, error)
                continue
            speaker = found[speaker_column] if speaker_column else None
            yield SourceUtterance(where, recording, found[text_column], speaker=speaker or None)


def _without_header(
    source: Source, audio: AudioFolder, header: Sequence[str], cells: Sequence[str]
) -> list[str]:
    """The numbers of the columns whose first cell is a recording; none if that is a header."""
    numbers, chosen = _numbers(cells), source.audio_column
    if chosen is not None:
        return [chosen] if chosen in numbers and chosen not in header else []
    if any(name in header for name in AUDIO_COLUMNS):
        return []
    return [number for number, cell in zip(numbers, cells, strict=True) if _is_audio(audio, cell)]


def _numbers(columns: Sequence[str]) -> list[str]:
    return [str(number) for number, _ in enumerate(columns, start=1)]


def _is_audio(audio: AudioFolder, cell: str) -> bool:
    try:
        audio.find(cell.strip())
    except LeftOut:
        return False
    return True


def _reader(path: Path, file: TextIO) -> Any:
    if path.suffix.lower() == TSV:
        return csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = file.readline()
    file.seek(0)
    delimiter = max(_DELIMITERS, key=header.count)
    return csv.reader(file, delimiter=delimiter, strict=True)


def _numbered(path: Path, rows: Any) -> Iterator[_Row]:
    """Each non-blank row or its error, and where it ends."""
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
        raise LeftOut(f"is no row of a table: {row}", fault=Fault.MALFORMED)
    if len(row) != len(header):
        reason = f"has {len(row)} cells, expected {len(header)} as the first row has"
        raise LeftOut(reason, fault=Fault.MALFORMED)
    return dict(zip(header, map(str.strip, row), strict=True))


def _column(path: Path, header: Sequence[str], chosen: str | None, usual: Sequence[str]) -> str:
    names = usual if chosen is None else [chosen.lower()]
    found = next((name for name in names if name in header), None)
    if found is None:
        raise ManifestError.of(
            path,
            f"has the columns {', '.join(header) or '(none)'}, expected one of "
            f"{', '.join(names) or 'them'}: name the columns, or give their numbers if there is no "
            "header",
            options=("Source.audio_column", "Source.text_column"),
        )
    return found
