"""What the tests of language models share: building binaries, and ARPA files."""

import gzip
import random
import subprocess
from pathlib import Path

from client.language_models.convert import BinaryOptions, convert
from client.language_models.tools import feed, find_tool

CHARACTERS = "abcdefghijklmnopqrstuvwxyz'"
VOCABULARY = [f"w{n}" for n in range(150)]
"""The words of the models that ``every_file`` makes."""

STRUCTURES = {
    "probing": ("probing",),
    "trie": ("trie",),
    "quantised": ("-q", "8", "-b", "7", "trie"),
    "array": ("-a", "255", "trie"),
    "quantised array": ("-q", "5", "-b", "6", "-a", "255", "trie"),
}
"""KenLM's binaries, and how ``build_binary`` is told to build them."""
FILES = ("arpa", "gzipped arpa", *STRUCTURES, "rest costs")

TYPES = {
    "probing": BinaryOptions("probing"),
    "trie": BinaryOptions("trie"),
    "quantised trie": BinaryOptions("trie", quantize_bits=8),
}


def build(arpa: Path, output: Path, case: str = "keep", options: BinaryOptions | None = None):
    """Convert a file; returns the binary's header."""
    with arpa.open("rb") as source:
        return convert(source, output, case, options)


def every_file(folder: Path, order: int) -> dict[str, Path]:
    """A trained model in each of ``FILES``."""
    files = {name: folder / f"{name} {order}" for name in FILES}
    _train(files["arpa"], order)
    files["gzipped arpa"].write_bytes(gzip.compress(files["arpa"].read_bytes()))
    for name, options in STRUCTURES.items():
        _build(files["arpa"], files[name], *options)
    lower = [folder / f"lower-{n}" for n in range(1, order)]
    for n, path in enumerate(lower[1:], start=2):
        _train(path, n)
    _, rest = files["arpa"].read_text().split("\\1-grams:\n")
    unigrams = ["\t".join(line.split("\t")[:2]) for line in rest.split("\n\n")[0].splitlines()]
    head = f"\\data\\\nngram 1={len(unigrams)}\n\n\\1-grams:\n"
    lower[0].write_text(head + "\n".join(unigrams) + "\n\n\\end\\\n")
    named = " ".join(path.name for path in lower)  # build_binary parts them at spaces
    _build(files["arpa"], files["rest costs"], "-r", named, "probing")
    return files


def _build(arpa: Path, output: Path, *options: str) -> None:
    command = [find_tool("build_binary"), *options, arpa, output]
    subprocess.run(command, check=True, capture_output=True, cwd=arpa.parent)


def _train(output: Path, order: int) -> None:
    rng = random.Random(0)  # noqa: S311 -- the same at every run, not a secret
    weights = [1 / n for n in range(1, len(VOCABULARY) + 1)]
    with feed("lmplz", "-o", order, "--discount_fallback", "-S", "64M", "--arpa", output) as text:
        for _ in range(1500):
            text.write(" ".join(rng.choices(VOCABULARY, weights, k=rng.randint(1, 12))) + "\n")


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
