"""Which kind of source it is, and its utterances as a manifest takes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ...errors import ManifestError
from ...language_models.cases import CASES
from . import folders, kaldi, librispeech, sphinx, table
from .files import files_below
from .source import Fault, Found, Problem, Source, Utterance

KINDS: Final[Mapping[str, Callable[[Source], Found]]] = {
    "folders": folders.read,
    "librispeech": librispeech.read,
    "kaldi": kaldi.read,
    "sphinx": sphinx.read,
    "table": table.read,
}


def guess_kind(transcripts: Path) -> str:
    """The kind of a file by its name, of a folder by what is in it.

    A table is never guessed of a folder, which may hold many. Raises ``ManifestError`` when it
    is none of ``KINDS``.
    """
    if not transcripts.exists():
        raise ManifestError(f"{transcripts}: no such file or folder: check the path")
    kind = _kind_of_folder(transcripts) if transcripts.is_dir() else _kind_of_file(transcripts)
    if kind is None:
        raise ManifestError(
            f"{transcripts}: no transcripts are known there, expected a folder of .txt files, a "
            "LibriSpeech tree, a Kaldi or Sphinx folder, or a .csv, .tsv or .fileids file: check "
            "the path, or say what it is with --kind"
        )
    return kind


def _kind_of_folder(folder: Path) -> str | None:
    if (folder / kaldi.RECORDINGS).exists():
        return "kaldi"
    if any(folder.glob(f"*{sphinx.FILE_IDS}")):
        return "sphinx"
    if any(files_below(folder, [librispeech.TRANSCRIPTS])):
        return "librispeech"
    return "folders" if any(files_below(folder, [folders.TRANSCRIPT])) else None


def _kind_of_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in table.SUFFIXES:
        return "table"
    return "sphinx" if suffix in sphinx.SUFFIXES else None


def read_source(source: Source, kind: str, case: str = "keep") -> Iterator[Utterance | Problem]:
    """The utterances of a source of one of ``KINDS``, in an order that is always the same.

    White space in texts becomes one space, and they are put in the ``case`` (of ``WORD_CASES``).
    Otherwise they stay as they are. Raises ``ManifestError`` when nothing can be read.
    """
    for each in KINDS[kind](source):
        yield each if isinstance(each, Problem) else _prepared(each, case)


def _prepared(utterance: Utterance, case: str) -> Utterance | Problem:
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
