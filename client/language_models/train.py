"""Train a language model: texts → the acoustic model's spelling → ``lmplz`` → files.

Held-out sentences measure how well the model predicts text that it has not seen. A sentence's text
decides whether it is held out, so no copy of it is trained on. The written model is the one that
was measured, without them. ``held_out=0`` trains on everything and measures nothing.
"""

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from ..errors import DecoderError
from .binary import BinaryHeader, read_header
from .convert import BinaryOptions, write_binary
from .inspection import Fit, fit
from .loading import load_language_model
from .spelling import Spelling
from .texts import Tally, read_texts, writable
from .tools import feed, scratch

_LEAST_ORDER, _MOST_ORDER = 2, 6  # as KenLM is built
SUFFIXES: Final = (".arpa.gz", ".binary", ".words.txt")
"""The files that ``train`` writes: the model twice, and its words, one a line."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train."""

    order: int = 3
    """Words of the longest n-grams."""
    prune: tuple[int, ...] = ()
    """For each order, n-grams with this count or less are left out; the last applies to the rest.
    Empty for none."""
    held_out: float | Path = 0.05
    """Sentences to measure with: the share of distinct ones to hold out, or a file of them."""
    binary: BinaryOptions = field(default_factory=BinaryOptions)
    """How to build the binary; its ``memory`` bounds ``lmplz`` too."""

    def __post_init__(self) -> None:
        """Raise ``DecoderError`` naming every invalid option."""
        checks = (
            (
                _LEAST_ORDER <= self.order <= _MOST_ORDER,
                f"order {self.order} is not in {_LEAST_ORDER} to {_MOST_ORDER}",
            ),
            (
                len(self.prune) <= self.order and list(self.prune) == sorted(self.prune),
                f"prune {self.prune} are not up to {self.order} thresholds in rising order",
            ),
            (all(threshold >= 0 for threshold in self.prune), f"prune {self.prune} is negative"),
            (
                isinstance(self.held_out, Path) or 0 <= self.held_out < 1,
                f"held_out {self.held_out} is not a fraction of at least 0 and less than 1",
            ),
        )
        problems = [problem for holds, problem in checks if not holds]
        if problems:
            raise DecoderError("options of training: " + "; ".join(problems))


@dataclass(frozen=True)
class Training:
    """The texts read, the model made of them, and how well it predicts held-out sentences."""

    tally: Tally
    trained_sentences: int
    header: BinaryHeader
    held_out: Fit
    files: tuple[Path, ...]


def train(
    texts: Iterable[str],
    prefix: Path,
    spelling: Spelling,
    options: TrainingOptions | None = None,
) -> Training:
    """Train on the ``texts`` that the acoustic model can write; files are ``prefix`` + SUFFIXES.

    Texts are streamed; only the held-out ones are kept, on disk. The files appear only once all are
    complete. Raises ``DecoderError`` when there is nothing to train on, or when KenLM's
    tools are missing or fail, and what reading the texts raises.
    """
    options = options or TrainingOptions()
    tally = Tally()
    with scratch(prefix) as folder:
        arpa, held_out = folder / "arpa", folder / "held-out"
        compressed, binary, words = made = [folder / f"lm{suffix}" for suffix in SUFFIXES]
        with held_out.open("w", encoding="utf-8") as aside:
            sentences = _split(writable(texts, spelling, tally), options.held_out, spelling, aside)
            trained_sentences = _estimate(sentences, arpa, options)
        with arpa.open(encoding="utf-8", newline="\n") as lines:
            write_binary(lines, binary, options.binary)
        _compress(arpa, compressed)
        model = load_language_model(binary)
        words.write_text("".join(f"{word}\n" for word in sorted(model.words)), encoding="utf-8")
        with held_out.open(encoding="utf-8", newline="\n") as lines:
            measured = fit(model, lines)
        files = tuple(Path(f"{prefix}{suffix}") for suffix in SUFFIXES)
        training = Training(tally, trained_sentences, read_header(binary), measured, files)
        for part, file in zip(made, files, strict=True):
            part.replace(file)
    return training


def _split(
    sentences: Iterable[str], held_out: float | Path, spelling: Spelling, aside: TextIO
) -> Iterator[str]:
    """The sentences to train on; writes the held-out ones to ``aside``, one a line."""
    if isinstance(held_out, Path):
        chosen = [*writable(read_texts([held_out]), spelling, Tally())]
        if not chosen:
            raise DecoderError.of(held_out, "holds no sentence that the acoustic model can write")
        aside.writelines(f"{sentence}\n" for sentence in chosen)
        excluded = frozenset(chosen)
        yield from (sentence for sentence in sentences if sentence not in excluded)
        return
    for sentence in sentences:
        if _place(sentence) < held_out:
            aside.write(f"{sentence}\n")
        else:
            yield sentence


def _place(sentence: str) -> float:
    """A number from 0 to 1 for a sentence: uniform, and always the same."""
    digest = hashlib.blake2b(sentence.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _estimate(sentences: Iterable[str], arpa: Path, options: TrainingOptions) -> int:
    """Write the ARPA file of the sentences' n-grams; returns how many sentences there were."""
    # With few sentences the discounts cannot be estimated: use fixed ones.
    smoothing = ["--order", options.order, "--discount_fallback"]
    pruning = ["--prune", *options.prune] if options.prune else []
    memory = ["-S", options.binary.memory, "-T", f"{arpa.parent}/"]
    n_sentences = 0
    with feed("lmplz", *smoothing, *pruning, *memory, "--arpa", arpa) as corpus:
        for sentence in sentences:
            corpus.write(f"{sentence}\n")
            n_sentences += 1
        if not n_sentences:
            raise DecoderError(
                "there is nothing to train on: the acoustic model can write no sentence of the"
                " texts; expected text in its characters"
            )
    return n_sentences


def _compress(source: Path, target: Path) -> None:
    with (
        source.open("rb") as plain,
        target.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,  # the same bytes for every build
    ):
        shutil.copyfileobj(plain, packed)
