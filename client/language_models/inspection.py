"""Describe a language model, measure it on a text, and find reasons against using it."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import DecoderError
from ..vocabulary import WORD_START
from . import arpa, binary
from .cases import CASES, OPPOSITES
from .loading import EXPECTED, LanguageModel, is_binary, read_words
from .spelling import Spelling

_TOKENS_SHARE: Final = 0.9
_EXAMPLES: Final = 3


@dataclass(frozen=True)
class Description:
    """A language model's file: ``counts`` holds the number of n-grams of each order."""

    structure: str
    counts: tuple[int, ...]
    size_bytes: int
    words: frozenset[str]


@dataclass(frozen=True)
class Fit:
    """How well a language model predicts a text.

    With N words, of which U unknown, in S sentences, and log10 probabilities p of each word and
    of each sentence's end given what stands before::

        perplexity        10 ** (-sum(p) / (N + S))           unknown words as <unk>
        known_perplexity  the same sum without unknown words, over N + S - U

    As KenLM's ``query`` counts; infinite where the text has no sentence.
    """

    sentences: int
    words: int
    unknown: int
    perplexity: float
    known_perplexity: float

    @property
    def unknown_rate(self) -> float:
        """Unknown words as a fraction of all."""
        return self.unknown / self.words if self.words else 0.0


def describe(path: Path) -> Description:
    """Read a model's header and words; raises ``DecoderError`` as loading it does."""
    if is_binary(path):
        header = binary.read_header(path)
        structure, counts = f"KenLM binary, {header.structure}", header.counts
    else:
        with path.open("rb") as file:
            structure, counts = "ARPA", arpa.read_counts(arpa.read_lines(file, str(path), EXPECTED))
    return Description(structure, counts, path.stat().st_size, read_words(path))


def fit(model: LanguageModel, texts: Iterable[str]) -> Fit:
    """Score every word of the texts; empty texts do not count."""
    sentences = words = unknown = 0
    known_log10 = unknown_log10 = 0.0
    for text in filter(str.strip, texts):
        for log10, is_unknown in model.scores(text.split()):
            words += 1
            if is_unknown:
                unknown += 1
                unknown_log10 += log10
            else:
                known_log10 += log10
        sentences += 1
    words -= sentences  # their ends
    return Fit(
        sentences,
        words,
        unknown,
        _perplexity(known_log10 + unknown_log10, words + sentences),
        _perplexity(known_log10, words + sentences - unknown),
    )


def problems(words: Collection[str], spelling: Spelling | None) -> list[DecoderError]:
    """Reasons against decoding with a model of these words, and what to do; nothing is raised.

    ``spelling`` is the acoustic model's, where it is known.
    """
    found: list[DecoderError] = []
    tokens = sum(len(word) == 1 or WORD_START in word for word in words)
    if tokens >= _TOKENS_SHARE * len(words):
        message = (
            f"{_share(tokens, words)} are single characters or pieces with {WORD_START}: this looks"
            " like a model of tokens, as NeMo's train_kenlm makes for subwords (chr(token + 100));"
            " the search needs a model of words: train one"
        )
        found.append(DecoderError(message, options=("train()",)))
    if spelling is not None:
        unwritable = [word for word in words if spelling.unwritable(word)]
        recase = CASES[spelling.case]
        in_other_case = [word for word in unwritable if not spelling.unwritable(recase(word))]
        if in_other_case:
            other = OPPOSITES[spelling.case]
            mixed = any(word != CASES[other](word) for word in in_other_case)
            decode = "" if mixed else f"decode with the language model's case {other}, or "
            message = (
                f"{_share(len(in_other_case), words)} are not in the acoustic model's case, such as"
                f" {_examples(in_other_case)}: {decode}convert the model to case {spelling.case}"
            )
            recoding = () if mixed else ("BeamOptions.lm_case",)
            found.append(DecoderError(message, options=(*recoding, "convert()", "convert(case)")))
        strange = set(unwritable).difference(in_other_case)
        if strange:
            message = (
                f"{_share(len(strange), words)} hold characters that the acoustic model cannot"
                f" write, such as {_examples(strange)}: they will never be found"
            )
            found.append(DecoderError(message))
    return found


def _perplexity(log10: float, n: int) -> float:
    return 10 ** (-log10 / n) if n else math.inf


def _share(n: int, words: Collection[str]) -> str:
    return f"{n} of {len(words)} words ({n / len(words):.1%})"


def _examples(words: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(words)[:_EXAMPLES]))
