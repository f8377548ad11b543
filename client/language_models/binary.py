"""KenLM's binary files: the header, and the words at the end.

Layout, as ``lm/binary_format.cc`` and ``lm/vocab.cc`` of KenLM write it: magic bytes and test
values, fixed parameters, the count of each order, padding to 8 bytes; the vocabulary's table, led
by its size; the n-grams; then, unless built without, the words in the order of their indices, each
ended by NUL, the first always ``<unk>``. KenLM maps the table and the n-grams into memory and
trusts the header, so the header is checked here first.
"""

import math
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import DecoderError
from .arpa import unreadable

MAGIC: Final = b"mmap lm http://kheafield.com/code"
"""The first bytes of every KenLM binary, of any version."""

STRUCTURES: Final = (
    "probing",
    "probing with rest costs",
    "trie",
    "quantised trie",
    "trie with compressed pointers",
    "quantised trie with compressed pointers",
)
_PROBING: Final = STRUCTURES[:2]

# Magic, three floats, three word indices (the last one padding), one 64-bit integer.
_TEST_VALUES: Final = struct.pack(
    "=56s3f3IQ", MAGIC + b" format version 5\n", 0.0, 1.0, -0.5, 1, 2**32 - 1, 0, 1
)
_PARAMETERS: Final = struct.Struct("=B3xfiB3xI")  # order, multiplier, structure, words?, version
_FIRST_WORD: Final = b"<unk>\0"


@dataclass(frozen=True)
class BinaryHeader:
    """A KenLM binary's header: ``counts`` holds the number of n-grams of each order."""

    structure: str
    counts: tuple[int, ...]
    n_words: int
    """Size of the vocabulary, with sentence marks and ``<unk>``."""
    has_words: bool
    """Whether the words themselves are in the file."""


def read_header(path: Path) -> BinaryHeader:
    """Read and check the header.

    Raises ``DecoderError`` for a file that is truncated, or no KenLM binary of this version and
    machine.
    """
    try:
        with path.open("rb") as file:
            tested = file.read(len(_TEST_VALUES))
            fixed = file.read(_PARAMETERS.size)
            order = fixed[0] if fixed else 0
            counts = file.read(8 * order)
            file.seek(-file.tell() % 8, os.SEEK_CUR)
            vocabulary = file.read(8)
    except OSError as error:
        raise unreadable(path, error, "a KenLM binary") from error
    if len(vocabulary) < 8:
        raise _damaged(path, "it ends within its header")
    if tested != _TEST_VALUES:
        raise _damaged(path, "its build was not finished, or another version or machine built it")
    _, multiplier, structure, has_words, _ = _PARAMETERS.unpack(fixed)
    if order < 2 or not 0 <= structure < len(STRUCTURES) or not 1 <= multiplier < math.inf:
        raise _damaged(
            path,
            f"its header says order {order}, structure {structure} and {multiplier} places for"
            " each n-gram",
        )
    name = STRUCTURES[structure]
    if name in _PROBING:
        n_words = struct.unpack("=II", vocabulary)[1]  # after the table's version
    else:
        n_words = struct.unpack("=Q", vocabulary)[0] + 1  # without <unk>
    header = BinaryHeader(name, struct.unpack(f"={order}Q", counts), n_words, bool(has_words))
    if header.n_words - header.counts[0] not in {0, 1}:  # 1: the ARPA file had no <unk>
        raise _damaged(path, f"it has {n_words} words and {header.counts[0]} 1-grams")
    return header


def read_words(path: Path) -> list[str]:
    """The words in the order of their indices, ``<unk>`` first, sentence marks among them.

    Raises ``DecoderError`` as ``read_header`` does, and when the words are not all there.
    """
    header = read_header(path)
    if not header.has_words:
        raise DecoderError.of(
            path,
            "is a KenLM binary built without its words (build_binary -v): pass a list of"
            " them as unigrams, one a line, or build it anew from its ARPA file",
            options=("convert()",),
        )
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        block = b""
        start = len(content)
        while block.count(b"\0") < header.n_words:  # a word may itself end as the first one does
            start = content.rfind(_FIRST_WORD, 0, start + len(_FIRST_WORD) - 1)
            if start < 0:
                break
            block = content[start:]
    if not block.endswith(b"\0") or block.count(b"\0") != header.n_words:
        raise _damaged(path, f"its {header.n_words} words are not all at its end")
    try:
        return block[:-1].decode().split("\0")
    except UnicodeDecodeError as error:
        raise unreadable(path, error, "words in UTF-8") from error


def _damaged(path: Path, reason: str) -> DecoderError:
    return DecoderError.of(
        path,
        f"is no whole KenLM binary: {reason}; build it anew from its ARPA file",
        options=("convert()",),
    )
