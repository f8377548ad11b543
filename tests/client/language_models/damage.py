"""Damages a language model again and again, and loads and asks each: a process that may crash.

``python -m tests.client.language_models.damage MODEL SEED COUNT`` prints a number before each
damaged model, and what became of them after the last. The number is the seed of its damage, so
``… MODEL NUMBER 1`` is that one alone. What hangs is ended by SIGALRM.
"""

import gzip
import json
import math
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import nemo_ctc_search

from tests.client.language_models.support import VOCABULARY

HEADER_BYTES = 200
LIMIT_S = 30
MOST_OF_MESSAGE = 500
SENTENCES = 30
NUMBERS = [0, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**48, 2**63, 2**64 - 1]
TEXTS = ["nan", "NaN", "inf", "-inf", "1e999", "-1e30", "1e30", "0", "-0.0", "", "-", "\\end\\",
         "\\2-grams:", "ngram 9=1", "<unk>", "<s>", "\0", "w" * 5000, "99999999999999999999999999",
         "1000000000000000", "4000000000", "10", "-99", "\t", "\r", "\n"]  # fmt: skip


def damaged(original: bytes, rng: random.Random) -> bytes:
    """The file with one to three kinds of damage."""
    if original.startswith(b"\x1f\x8b") and rng.random() < 0.5:
        return gzip.compress(damaged(gzip.decompress(original), rng), compresslevel=1)
    data = bytearray(original)
    kinds = [_flip, _overwrite, _truncate, _swap, _shift]
    if original.startswith(b"\\data\\"):
        kinds += [_edit_fields] * 8 + [_edit_lines]
    else:  # less of what is refused
        kinds += [_flip, _overwrite, _overwrite, _swap, *[_write_number] * 3]
    for _ in range(rng.choice([1, 1, 2, 3])):
        if data:
            rng.choice(kinds)(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), HEADER_BYTES if rng.random() < 0.3 else len(data)))


def _length(data: bytearray, rng: random.Random) -> int:
    return int(len(data) ** rng.random())


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 10, 1000])):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    start, length = _place(data, rng), _length(data, rng)
    length = min(length, len(data) - start)
    contents = [bytes(length), b"\xff" * length, rng.randbytes(length)]
    data[start : start + length] = rng.choice(contents)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[len(data) - _length(data, rng) :]


def _swap(data: bytearray, rng: random.Random) -> None:
    one, other, length = _place(data, rng), _place(data, rng), _length(data, rng)
    length = min(length, len(data) - max(one, other))
    kept = data[one : one + length]
    data[one : one + length] = data[other : other + length]
    data[other : other + length] = kept


def _shift(data: bytearray, rng: random.Random) -> None:
    start, length = _place(data, rng), rng.randint(1, 16)
    if rng.random() < 0.5:
        del data[start : start + length]
    else:
        data[start:start] = rng.randbytes(length)


def _write_number(data: bytearray, rng: random.Random) -> None:
    start, width = _place(data, rng), rng.choice([1, 4, 8])
    number = rng.choice([*NUMBERS, len(data)]) % 256**width
    if start + width <= len(data):
        data[start : start + width] = number.to_bytes(width, "little")


def _edit_fields(data: bytearray, rng: random.Random) -> None:
    lines = data.split(b"\n")
    for _ in range(rng.choice([1, 1, 1, 5])):
        number = rng.randrange(min(len(lines), 8 if rng.random() < 0.4 else len(lines)))
        fields = lines[number].replace(b"=", b"=\t").split(b"\t")
        if rng.random() < 0.5:  # a weight that is one
            fields[-(len(fields) > 2)] = rng.choice([b"0", b"-99", b"-1e30", b"-inf", b"-0.5e1"])
        else:
            fields[rng.randrange(len(fields))] = rng.choice(TEXTS).encode()
        lines[number] = b"\t".join(fields).replace(b"=\t", b"=")
    data[:] = b"\n".join(lines)


def _edit_lines(data: bytearray, rng: random.Random) -> None:
    lines = data.split(b"\n")
    for _ in range(rng.choice([1, 1, 5])):
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(3)
        if kind == 0:
            lines[one], lines[other] = lines[other], lines[one]
        elif kind == 1:
            lines.insert(one, lines[other])
        elif len(lines) > 1:
            del lines[one]
    data[:] = b"\n".join(lines)


def _ask(path: Path, rng: random.Random) -> str:
    """Load the model and score sentences with it; what became of it."""
    try:
        model = nemo_ctc_search.LanguageModel(path)
    except RuntimeError as error:
        if len(str(error)) > MOST_OF_MESSAGE:
            raise
        return "refused"
    words = [*VOCABULARY, *VOCABULARY, "unheard", "", "<s>", "</s>", "<unk>", "\0"]
    for _ in range(SENTENCES):
        sentence = rng.choices(words, k=rng.randrange(9))
        scores = model.score_sentence(sentence)
        assert len(scores) == len(sentence) + 1
        assert all(math.isfinite(log10) for log10, _ in scores), scores
    return "loaded"


def main(path: str, seed: str, count: str) -> None:
    """Print what became of ``count`` damaged models."""
    original = Path(path).read_bytes()
    became = Counter({"loaded": 0, "refused": 0})
    with tempfile.TemporaryDirectory() as folder:
        for number in range(int(seed), int(seed) + int(count)):
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            rng = random.Random(number)  # noqa: S311 -- the same at every run, not a secret
            file = Path(folder) / "model"
            file.write_bytes(damaged(original, rng))
            signal.alarm(LIMIT_S)
            became[_ask(file, rng)] += 1
            signal.alarm(0)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_bytes = int(status.partition("VmHWM:")[2].split()[0]) * 1024  # rusage has the parent's too
    sys.stdout.write(json.dumps({**became, "peak_bytes": peak_bytes}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
