"""Language models for the search: checked, loaded into KenLM, and their words with them.

Flow: path → first bytes (ARPA, gzip, KenLM binary or neither) → words, from the 1-grams of an ARPA
file or the end of a binary → KenLM, in ``nemo_ctc_search``. The words are part of the model: the
search needs them to know which prefixes of words exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import DecoderError
from ..utils.extras import import_native
from . import arpa, binary

if TYPE_CHECKING:
    import nemo_ctc_search

EXPECTED: Final = "an ARPA file or a KenLM binary"
_NOT_WORDS: Final = arpa.MARKS | {"<UNK>"}
_EXAMPLES: Final = 3
_PURPOSE: Final = "a language model"


@dataclass(frozen=True)
class LanguageModel:
    """A loaded KenLM model and the words it knows."""

    model: "nemo_ctc_search.LanguageModel"
    words: frozenset[str]

    @cached_property
    def lexicon(self) -> "nemo_ctc_search.Lexicon":
        """The words in order, made once for all decoders that search in them."""
        lexicon: nemo_ctc_search.Lexicon = import_native(_PURPOSE).Lexicon(list(self.words))
        return lexicon

    def scores(self, words: Iterable[str]) -> list[tuple[float, bool]]:
        """log10 of the probability of each word of a sentence, and of its end, after those before.

        With each, whether the model lacks the word and takes it for ``<unk>``.
        """
        # A lone surrogate is no character: no model has it.
        known = [word.encode(errors="replace").decode() for word in words]
        return self.model.score_sentence(known)

    def score(self, text: str) -> float:
        """log10 of the probability of a sentence, its end included."""
        return sum(log10 for log10, _ in self.scores(text.split()))


def load_language_model(path: Path | str, unigrams: Path | str | None = None) -> LanguageModel:
    """Load an ARPA file, gzipped or not, or a KenLM binary: detected by content, not by name.

    A binary is memory-mapped and read on demand, so processes that load the same one share it.
    ``unigrams`` lists the words to use instead of the model's own, one a line; words that the model
    does not know are dropped. Raises ``DecoderError`` when a file is missing, empty or damaged, or
    when no word is known, and ``MissingPackage`` without nemo-ctc-search.
    """
    import_native(_PURPOSE)  # before the words of a large file are read
    path = Path(path)
    if unigrams is None:
        words = read_words(path)  # first: its errors for a bad file are clearer than KenLM's
        return LanguageModel(_load(path), words)
    if is_binary(path) and binary.read_header(path).has_words:
        binary.read_words(path)  # they are at the end: if they are whole, so is the file
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
        raise DecoderError.of(
            path,
            "found no words, expected an ARPA file (\\data\\, \\1-grams:, …, \\end\\)"
            " or a KenLM binary",
        )
    return words - _NOT_WORDS


def is_binary(path: Path) -> bool:
    """Whether the file is KenLM's own; raises ``DecoderError`` when it is empty or missing."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DecoderError.of(path, f"is no file on disk, expected {EXPECTED}")
    try:
        with path.open("rb") as file:
            magic = file.read(len(binary.MAGIC))
    except OSError as error:
        raise arpa.unreadable(path, error, EXPECTED) from error
    if not magic:
        raise DecoderError.of(path, f"the language model is empty (0 bytes), expected {EXPECTED}")
    return magic == binary.MAGIC


def _load(path: Path) -> "nemo_ctc_search.LanguageModel":
    if is_binary(path):
        binary.read_header(path)
    native = import_native(_PURPOSE)
    try:
        model: nemo_ctc_search.LanguageModel = native.LanguageModel(path)
    except RuntimeError as error:
        raise DecoderError.of(path, f"KenLM cannot load this language model: {error}") from error
    return model


def _known(model: "nemo_ctc_search.LanguageModel", unigrams: Path) -> frozenset[str]:
    expected = "a list of words, one a line"
    try:
        with unigrams.open("rb") as file:
            lines = arpa.read_lines(file, str(unigrams), expected)
            listed = {word for line in lines if (word := line.strip())}
    except OSError as error:
        raise arpa.unreadable(unigrams, error, expected) from error
    words = frozenset(word for word in listed if model.knows(word)) - _NOT_WORDS
    if not words:
        examples = ", ".join(map(repr, sorted(listed)[:_EXAMPLES])) or "none"
        raise DecoderError.of(
            unigrams,
            f"the language model knows none of its {len(listed)} words ({examples}):"
            f" expected {expected}, in the model's own case",
        )
    return words
