"""Language models for the search: checked, loaded into KenLM, and their words read along.

Flow: path → first bytes (ARPA, gzip, KenLM binary or neither) → words, from the 1-grams of an ARPA
file or the end of a binary → ``kenlm.Model``. The words always go with the model: the search needs
them to know which beginnings of words exist, and KenLM's Python module cannot list them.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ..errors import DecoderError
from . import arpa, binary

try:
    import kenlm
except ImportError:  # only those who bring a language model need it
    kenlm = None

EXPECTED: Final = "an ARPA file or a KenLM binary"
_NOT_WORDS: Final = arpa.MARKS | {"<UNK>"}
_EXAMPLES: Final = 3


@dataclass(frozen=True)
class LanguageModel:
    """A loaded KenLM model and the words it knows."""

    kenlm: Any
    words: frozenset[str]

    @cached_property
    def sorted_words(self) -> list[str]:
        """The words in order, made once for all decoders that search in them."""
        return sorted(self.words)

    @staticmethod
    def new_state() -> Any:
        """What KenLM keeps of the words before, to be filled by it."""
        return kenlm.State()


def load_language_model(path: Path | str, unigrams: Path | str | None = None) -> LanguageModel:
    """Load an ARPA file, gzipped or not, or a KenLM binary: told by content, not by name.

    A binary is mapped into memory and read as it is used, so processes that load the same one
    share it. ``unigrams`` lists the words to take instead of the model's own, one a line; those
    that the model does not know are dropped. Raises ``DecoderError`` when a file is missing,
    empty or damaged, when no word is known, or when kenlm is not installed.
    """
    if kenlm is None:
        raise DecoderError(
            "a language model needs the package kenlm, which is not installed: pip install kenlm"
        )
    path = Path(path)
    if unigrams is None:
        words = read_words(path)  # first: what it says of a bad file is clearer than KenLM
        return LanguageModel(_load(path), words)
    if is_binary(path) and binary.read_header(path).has_words:
        binary.read_words(path)  # they stand at the end: if they are there, all is
    model = _load(path)
    return LanguageModel(model, _known(model, Path(unigrams)))


def read_words(path: Path | str) -> frozenset[str]:
    """The words of a language model, without sentence marks and ``<unk>``.

    Raises ``DecoderError`` as ``load_language_model`` does.
    """
    path = Path(path)
    if is_binary(path):
        words = frozenset(binary.read_words(path))
    else:
        with path.open("rb") as file:
            words = frozenset(arpa.unigrams(arpa.read_lines(file, str(path), EXPECTED)))
    if not words - _NOT_WORDS:
        raise DecoderError(
            f"{path}: found no words, expected an ARPA file (\\data\\, \\1-grams:, …, \\end\\)"
            " or a KenLM binary"
        )
    return words - _NOT_WORDS


def is_binary(path: Path) -> bool:
    """Whether the file is KenLM's own; raises ``DecoderError`` when it is empty or missing."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(binary.MAGIC))
    except OSError as error:
        raise arpa.unreadable(path, error, EXPECTED) from error
    if not magic:
        raise DecoderError(f"{path}: the language model is empty (0 bytes), expected {EXPECTED}")
    return magic == binary.MAGIC


def _load(path: Path) -> Any:
    if is_binary(path):
        binary.read_header(path)
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    config.load_method = kenlm.LoadMethod.LAZY
    try:
        return kenlm.Model(str(path), config)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise DecoderError(f"{path}: KenLM cannot load this language model: {error}") from error


def _known(model: Any, unigrams: Path) -> frozenset[str]:
    expected = "a list of words, one a line"
    try:
        with unigrams.open("rb") as file:
            lines = arpa.read_lines(file, str(unigrams), expected)
            listed = {word for line in lines if (word := line.strip())}
    except OSError as error:
        raise arpa.unreadable(unigrams, error, expected) from error
    words = frozenset(word for word in listed if word in model) - _NOT_WORDS
    if not words:
        examples = ", ".join(map(repr, sorted(listed)[:_EXAMPLES])) or "none"
        raise DecoderError(
            f"{unigrams}: the language model knows none of its {len(listed)} words ({examples}):"
            f" expected {expected}, in the model's own case"
        )
    return words
