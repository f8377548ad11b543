"""What the tests of language models share: building binaries, and ARPA files."""

import random
from pathlib import Path

from client.language_models.convert import BinaryOptions, convert

CHARACTERS = "abcdefghijklmnopqrstuvwxyz'"


TYPES = {
    "probing": BinaryOptions("probing"),
    "trie": BinaryOptions("trie"),
    "quantised trie": BinaryOptions("trie", quantize_bits=8),
}


def build(arpa: Path, output: Path, case: str = "keep", options: BinaryOptions | None = None):
    """Convert a file; returns the binary's header."""
    with arpa.open("rb") as source:
        return convert(source, output, case, options)


def arpa_of(words, unknown="<unk>"):
    """An ARPA file of these words, each with a probability of its own, and of one pair of each."""
    words = list(words)
    unigrams = [f"-{n / 1000:.3f}\t{word}\t-0.25" for n, word in enumerate(words, start=1)]
    bigrams = [f"-0.5\t<s> {word}" for word in words]
    return "\n".join(
        (
            "\\data\\",
            f"ngram 1={len(words) + 3}",
            f"ngram 2={len(words)}",
            "",
            "\\1-grams:",
            f"-4\t{unknown}",
            "-99\t<s>\t-0.5",
            "-1\t</s>",
            *unigrams,
            "",
            "\\2-grams:",
            *bigrams,
            "",
            "\\end\\",
            "",
        )
    )


def large_arpa(n_words=3000, n_pairs=9000):
    """A trigram model, of hundreds of kilobytes as a binary, and some of its sentences."""
    rng = random.Random(0)  # noqa: S311 -- the same at every run, not a secret
    words = sorted({"".join(rng.choices(CHARACTERS[:-1], k=rng.randint(2, 12)))
                    for _ in range(n_words)})  # fmt: skip
    pairs = sorted({(rng.choice(words), rng.choice(words)) for _ in range(n_pairs)})
    after = dict(pairs)
    triples = sorted((one, two, after[two]) for one, two in pairs if two in after)

    def section(ngrams, back_off):
        return [
            f"-{rng.uniform(0.1, 5):.4f}\t{' '.join(ngram)}" + f"\t-{rng.random():.4f}" * back_off
            for ngram in ngrams
        ]

    marks = ["-5\t<unk>", "-99\t<s>\t-0.5", "-1\t</s>"]
    lines = [
        "\\data\\",
        *(f"ngram {order}={n}" for order, n in enumerate(
            (len(words) + len(marks), len(pairs), len(triples)), start=1)),
        "", "\\1-grams:", *marks, *section(((word,) for word in words), back_off=True),
        "", "\\2-grams:", *section(pairs, back_off=True),
        "", "\\3-grams:", *section(triples, back_off=False),
        "", "\\end\\", "",
    ]  # fmt: skip
    return "\n".join(lines), [" ".join(triple) for triple in triples[::50]]
