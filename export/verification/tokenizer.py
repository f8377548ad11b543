"""A tokenizer for models with random weights, trained on random words from a fixed seed."""

import random
from pathlib import Path

import sentencepiece


def write_tokenizer(folder: Path, subwords: int, bos_id: int = -1) -> None:
    """Train a SentencePiece model of ``subwords`` units on random words, into ``folder``.

    Like NeMo's, it has no unit for the beginning of a sentence unless ``bos_id`` is given.
    """
    rng = random.Random(0)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxyz" for vowel in "aeiou'"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(3000)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(" ".join(rng.choices(words, k=8)) for _ in range(2000)),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=subwords,
        bos_id=bos_id,
        eos_id=-1,
        minloglevel=2,
    )
    pieces = (folder / "tokenizer.vocab").read_text(encoding="utf-8").splitlines()
    names = (line.partition("\t")[0] + "\n" for line in pieces)
    (folder / "vocab.txt").write_text("".join(names), encoding="utf-8")
