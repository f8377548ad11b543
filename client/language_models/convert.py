"""From ARPA to KenLM binary: ARPA → words in one case → ``build_binary`` → file, as a stream."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import DecoderError
from . import arpa
from .binary import BinaryHeader, read_header
from .tools import feed, scratch

BINARY_TYPES: Final = ("trie", "probing")
_LEAST_BITS, _MOST_BITS = 2, 25  # one bit leaves no room beside the two reserved values
_is_memory = re.compile(r"[1-9]\d*[KMGT]").fullmatch


@dataclass(frozen=True)
class BinaryOptions:
    """How to build a KenLM binary."""

    type: str = "trie"
    """``trie`` is half as large and built in bounded memory, ``probing`` twice as fast to ask."""
    quantize_bits: int | None = None
    """Bits of each probability and each back-off weight in a trie; ``None`` for all 32."""
    memory: str = "1G"
    """What sorting may take, as KenLM reads it; ``probing`` holds the whole model besides."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` naming every option that does not hold."""
        bits = self.quantize_bits
        checks = (
            (self.type in BINARY_TYPES, f"type {self.type!r} is not in {BINARY_TYPES}"),
            (
                bits is None or _LEAST_BITS <= bits <= _MOST_BITS,
                f"quantize {bits} is not in {_LEAST_BITS} to {_MOST_BITS} bits",
            ),
            (bits is None or self.type == "trie", "only type trie can be quantized"),
            (bool(_is_memory(self.memory)), f"memory {self.memory!r} is not like 512M or 2G"),
        )
        problems = [problem for holds, problem in checks if not holds]
        if problems:
            raise DecoderError("options of a language model: " + "; ".join(problems))


def convert(
    source: BinaryIO, output: Path, case: str = "keep", options: BinaryOptions | None = None
) -> BinaryHeader:
    """Build the KenLM binary ``output`` from an ARPA file, gzipped or not; returns its header.

    ``case`` is how to write the words, of ``WORD_CASES``. ``output`` appears when it is whole.
    Raises ``DecoderError`` when the ARPA file is damaged or cannot be written in that case,
    or when KenLM's tools are missing or fail.
    """
    with scratch(output) as folder:
        lines = arpa.read_lines(source, source.name, "an ARPA file")
        binary = folder / output.name
        write_binary(arpa.in_case(lines, source.name, case), binary, options or BinaryOptions())
        header = read_header(binary)
        binary.replace(output)
    return header


def write_binary(lines: Iterable[str], output: Path, options: BinaryOptions) -> None:
    """Run ``build_binary`` on the lines of an ARPA file; temporary files go beside ``output``."""
    bits = options.quantize_bits
    quantize = () if bits is None else ("-q", bits, "-b", bits)
    memory = ("-S", options.memory, "-T", f"{output.parent}/")
    with feed("build_binary", *memory, *quantize, options.type, "/dev/stdin", output) as stream:
        stream.writelines(lines)
