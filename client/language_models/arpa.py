r"""ARPA files, read as they stream by: header counts, words, the same model in another case.

An ARPA file is text: ``\data\`` and a count for each order, a section ``\N-grams:`` for each
order whose lines are log10 probability, N words and perhaps a back-off weight, then ``\end\``.
Only the words of the 1-grams are ever held; KenLM, which reads the file next, checks the rest.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, cast

from ..errors import DecoderError
from .cases import CASES

GZIP_MAGIC: Final = b"\x1f\x8b"
MARKS: Final = frozenset(("<s>", "</s>", "<unk>"))
"""What stands among the words and is none, as KenLM writes it."""

_BUFFER_BYTES: Final = 1 << 16
_EXAMPLES: Final = 3
_fields = re.compile(r"[^ \t\r\n]+").findall  # KenLM's white space: a word may hold any other
_heading = re.compile(r"\\(\d+)-grams:\s*").fullmatch
_count = re.compile(r"ngram\s+\d+\s*=\s*(\d+)\s*").fullmatch


def read_lines(stream: BinaryIO, name: str, expected: str) -> Iterator[str]:
    """The lines of a UTF-8 text, gzipped or not (told by content); a newline alone ends one.

    A byte order mark at the start, as editors on Windows write it, is no part of the first.

    Raises ``DecoderError``, with the file's name and what was expected, when it cannot.
    """
    try:
        with io.BufferedReader(cast("io.RawIOBase", stream), _BUFFER_BYTES) as buffered:
            packed = buffered.peek(2).startswith(GZIP_MAGIC)
            plain = cast("BinaryIO", gzip.GzipFile(fileobj=buffered) if packed else buffered)
            with io.TextIOWrapper(plain, encoding="utf-8-sig", newline="\n") as lines:
                yield from lines
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise unreadable(name, error, expected) from error


def unreadable(name: object, error: Exception, expected: str) -> DecoderError:
    """The error to raise for a file that cannot be read."""
    reason = getattr(error, "strerror", None) or error  # without the path a second time
    return DecoderError(f"{name}: cannot read it: {reason}; expected {expected}")


def read_counts(lines: Iterable[str]) -> tuple[int, ...]:
    """Number of n-grams of each order, from the header that ``lines`` begins with.

    Empty when there is no header. Reads no further than the blank line after it.
    """
    counts: list[int] = []
    for line in lines:
        if found := _count(line):
            counts.append(int(found[1]))
        elif counts:
            break
    return tuple(counts)


def unigrams(lines: Iterable[str]) -> Iterator[str]:
    """The words of the 1-grams, sentence marks and ``<unk>`` among them; reads no further."""
    inside = False
    for line in lines:
        if line.startswith("\\"):
            if inside:
                return
            inside = line.strip() == "\\1-grams:"
        elif inside and len(fields := _fields(line)) >= 2:
            yield fields[1]


def in_case(lines: Iterable[str], name: str, case: str) -> Iterator[str]:
    """The same model with its words in a case of ``WORD_CASES`` and KenLM's names for marks.

    Words that the case makes equal would need their probabilities added up and every back-off
    weight computed anew, so they are refused. If the 1-grams stay distinct, all n-grams do, and
    the counts of the header hold. Raises ``DecoderError``, also for a malformed line.
    """
    order = 0
    seen: set[str] = set()
    doubles: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("\\"):
            if doubles:
                raise _coincide(name, case, doubles)
            seen.clear()
            order = int(heading[1]) if (heading := _heading(line)) else 0
            yield line
        elif order and (fields := _fields(line)):
            if not order + 1 <= len(fields) <= order + 2:
                raise DecoderError(
                    f"{name} line {number}: holds {len(fields)} fields, expected a probability,"
                    f" {order} words and perhaps a back-off weight: the ARPA file is damaged"
                )
            ngram = _spelled(" ".join(fields[1 : order + 1]), case)
            if order == 1:
                if ngram in seen:
                    doubles.append(fields[1])
                seen.add(ngram)
            yield "\t".join((fields[0], ngram, *fields[order + 1 :])) + "\n"
        else:
            yield line


def _spelled(ngram: str, case: str) -> str:
    ngram = CASES[case](ngram)
    if "<" not in ngram:
        return ngram
    return " ".join(mark if (mark := word.lower()) in MARKS else word for word in ngram.split(" "))


def _coincide(name: str, case: str, words: list[str]) -> DecoderError:
    examples = ", ".join(map(repr, words[:_EXAMPLES]))
    if case == "keep":
        return DecoderError(f"{name}: words stand in it twice, such as {examples}: make it anew")
    return DecoderError(
        f"{name}: in {case} case {len(words)} words are the same as others, such as {examples}, and"
        " their probabilities cannot be merged: use --case keep, or train on text of one case"
    )
