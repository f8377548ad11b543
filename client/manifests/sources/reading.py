"""Detect the kind of a source, and read its utterances for a manifest; or those of a manifest."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ...errors import ManifestError
from ...language_models.cases import CASES
from ...utils.utf8 import holds
from ..manifest import Entry, duration_of, read_manifest
from . import corpora, table
from .files import Fault, Found, Problem, Source, SourceUtterance, files_below

KINDS: Final[Mapping[str, Callable[[Source], Found]]] = {
    "folders": corpora.read_folders,
    "librispeech": corpora.read_librispeech,
    "kaldi": corpora.read_kaldi,
    "sphinx": corpora.read_sphinx,
    "table": table.read,
}


def guess_kind(transcripts: Path) -> str:
    """The kind of a file by its name, of a folder by its files.

    A folder is never a table: it may hold many. Raises ``ManifestError`` when it is none of
    ``KINDS``.
    """
    if not transcripts.exists():
        raise ManifestError.of(transcripts, "no such file or folder: check the path")
    kind = _kind_of_folder(transcripts) if transcripts.is_dir() else _kind_of_file(transcripts)
    if kind is None:
        raise ManifestError.of(
            transcripts,
            "no transcripts are known there, expected a folder of .txt files, a "
            "LibriSpeech tree, a Kaldi or Sphinx folder, or a .csv, .tsv or .fileids file: check "
            "the path, or name its kind",
            options=("read_source(kind)",),
        )
    return kind


def _kind_of_folder(folder: Path) -> str | None:
    if (folder / corpora.RECORDINGS).exists():
        return "kaldi"
    if any(folder.glob(f"*{corpora.FILE_IDS}")):
        return "sphinx"
    if any(files_below(folder, [corpora.CHAPTER])):
        return "librispeech"
    return "folders" if any(files_below(folder, [corpora.TEXT_FILE])) else None


def _kind_of_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in table.SUFFIXES:
        return "table"
    return "sphinx" if suffix in corpora.SPHINX_SUFFIXES else None


def read_source(
    source: Source, kind: str, case: str = "keep"
) -> Iterator[SourceUtterance | Problem]:
    """The utterances of a source of one of ``KINDS``, always in the same order.

    White space in texts becomes one space, and texts get the ``case`` of ``WORD_CASES``; they are
    otherwise unchanged. Raises ``ManifestError`` when nothing can be read.
    """
    for each in KINDS[kind](source):
        yield each if isinstance(each, Problem) else _prepared(each, case)


def _prepared(utterance: SourceUtterance, case: str) -> SourceUtterance | Problem:
    text = " ".join((utterance.text or "").split())
    try:
        f"{text}{utterance.speaker}".encode()
    except UnicodeEncodeError:
        return Problem(utterance.where, "is not UTF-8: convert it", Fault.MALFORMED)
    try:
        str(utterance.audio).encode()
    except UnicodeEncodeError:
        reason = f"the name of {str(utterance.audio)!r} is not UTF-8: rename it"
        return Problem(utterance.where, reason, Fault.UNREADABLE)
    return replace(utterance, text=CASES[case](text))


def read_existing(path: Path) -> Found:
    """Each line's utterance; raises ``ManifestError`` when the file cannot be read.

    Without ``offset``, ``duration`` must be the recording's length, which NeMo requires. With one,
    the piece goes to the end if ``duration`` is 0, ``null`` or missing.
    """
    for entry in read_manifest(path):
        where = f"{path} line {entry.line}"
        try:
            yield _utterance(where, entry)
        except ManifestError as error:
            reason = error.message.removeprefix(f"{where}: ")
            yield Problem(where, reason, Fault.MALFORMED)


def _utterance(where: str, entry: Entry) -> SourceUtterance:
    if isinstance(entry.item, ManifestError):
        raise entry.item
    if halves := [name for name, value in entry.fields.items() if not holds({name: value})]:
        raise ManifestError(
            f"{', '.join(map(repr, halves))}: UTF-8 cannot encode it (half a character, or a file "
            "name in another encoding): write whole characters, rename the file"
        )
    audio, text = Path(str(entry.item.source)), entry.text()
    if entry.fields.get("offset") is not None:
        return SourceUtterance(where, audio, text, entry.item.offset_s, entry.item.duration_s)
    duration_s = duration_of(entry)
    if not 0 < duration_s < math.inf:
        raise ManifestError(
            f"duration is {entry.fields.get('duration')!r}, expected seconds above 0"
        )
    return SourceUtterance(where, audio, text, None, duration_s)
