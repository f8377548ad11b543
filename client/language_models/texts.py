"""Sentences to train or measure a language model with, from text files and manifests.

Flow: files → texts, one a line or the ``text`` of a manifest's entries → written as the acoustic
model writes → those that it can write, while the others are counted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import ManifestError
from ..manifests.manifest import Entry, read_manifest
from .arpa import read_lines, unreadable
from .spelling import Spelling

_MANIFESTS: Final = (".json", ".jsonl")
_EXPECTED: Final = "UTF-8 text, one sentence a line, or a manifest (.json, .jsonl)"


@dataclass
class Tally:
    """What became of the texts that ``writable`` was given; empty ones do not count."""

    sentences: int = 0
    """Sentences the acoustic model can write."""
    skipped_sentences: int = 0
    """Sentences with a word that it cannot write."""
    unwritable_words: int = 0
    """The words that made them so, each as often as it occurs."""
    unwritable_characters: Counter[str] = field(default_factory=Counter)
    """The characters that made these so, and in how many of them they occur."""


def read_texts(paths: Iterable[Path]) -> Iterator[str]:
    """Every text of the files, in order.

    Manifests are told by their names; anything else is text, gzipped or not. Raises
    ``DecoderError`` or ``ManifestError`` for a file or line that cannot be read.
    """
    for path in paths:
        if path.suffix in _MANIFESTS:
            yield from (_text(path, entry) for entry in read_manifest(path))
            continue
        try:
            with path.open("rb") as file:
                yield from read_lines(file, str(path), _EXPECTED)
        except OSError as error:
            raise unreadable(path, error, _EXPECTED) from error


def writable(texts: Iterable[str], spelling: Spelling, tally: Tally) -> Iterator[str]:
    """The texts as the acoustic model writes them, without those that it cannot write."""
    for text in texts:
        sentence = spelling.write(text)
        if spelling.unwritable(sentence):
            found = list(filter(None, map(spelling.unwritable, sentence.split())))
            tally.skipped_sentences += 1
            tally.unwritable_words += len(found)
            tally.unwritable_characters.update(character for word in found for character in word)
        elif sentence:
            tally.sentences += 1
            yield sentence


def _text(path: Path, entry: Entry) -> str:
    try:
        text = entry.text()
    except ManifestError as error:
        raise ManifestError(f"{path} line {entry.line} {error}") from error
    if text is not None:
        return text
    if isinstance(entry.item, ManifestError):
        raise entry.item
    raise ManifestError(f"{path} line {entry.line} lacks text, one sentence that was spoken")
