"""ARPA language models: checked, loaded into KenLM, and their words read along.

Flow: path → first bytes (ARPA, gzip, KenLM binary or neither) → words of the unigram section,
by streaming → ``kenlm.Model``. The words always go with the model: the search needs them to know
which beginnings of words exist, and KenLM cannot list them.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client.errors import DecoderError

try:
    import kenlm
except ImportError:  # only those who bring a language model need it
    kenlm = None

_GZIP_MAGIC: Final = b"\x1f\x8b"
_KENLM_MAGIC: Final = b"mmap lm http://kheafield.com/code"
_NOT_WORDS: Final = frozenset(("<s>", "</s>", "<unk>", "<UNK>"))


@dataclass(frozen=True)
class LanguageModel:
    """A loaded KenLM model and the words it knows."""

    kenlm: Any
    words: frozenset[str]


def load_language_model(path: Path | str) -> LanguageModel:
    """Load an ARPA file, gzipped or not (told by content, not by name).

    Raises :class:`DecoderError` when it is missing, empty, damaged, a KenLM binary, or when kenlm
    is not installed.
    """
    if kenlm is None:
        raise DecoderError(
            "a language model needs the package kenlm, which is not installed: pip install kenlm"
        )
    words = read_words(Path(path))
    quiet = kenlm.Config()
    quiet.show_progress = False
    quiet.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(str(path), quiet)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise DecoderError(f"{path}: KenLM cannot load this language model: {error}") from error
    return LanguageModel(model, words)


def read_words(path: Path) -> frozenset[str]:
    """The words of an ARPA file's unigram section, without sentence marks and ``<unk>``.

    Raises :class:`DecoderError` as :func:`load_language_model` does.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_KENLM_MAGIC))
        if not magic:
            raise DecoderError(f"{path}: the language model is empty (0 bytes), expected ARPA text")
        if magic == _KENLM_MAGIC:
            raise DecoderError(
                f"{path}: is a KenLM binary, which does not list its words: pass the ARPA file"
                " that it was made from (.arpa or .arpa.gz)"
            )
        opener = gzip.open if magic.startswith(_GZIP_MAGIC) else open
        with opener(path, "rt", encoding="utf-8") as lines:
            words = frozenset(_unigrams(lines)) - _NOT_WORDS
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path a second time
        raise DecoderError(
            f"{path}: cannot read the language model: {reason}; expected an ARPA file"
        ) from error
    if not words:
        raise DecoderError(
            f"{path}: found no words, expected an ARPA file (\\data\\, \\1-grams:, …, \\end\\)"
        )
    return words


def _unigrams(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if line.startswith("\\"):
            if inside:
                return
            inside = line.strip() == "\\1-grams:"
        elif inside and len(fields := line.split()) >= 2:
            yield fields[1]  # log10 probability, word, back-off weight
