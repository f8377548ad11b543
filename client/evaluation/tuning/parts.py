"""The utterances to tune on, and those held out to check the result with.

Chosen by the hash of the sentence: the same each time, and no sentence in both parts, which would
make the check easier than life.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...errors import ManifestError
from .acoustics import Utterance


class Parts(NamedTuple):
    """Utterances to tune on, and to check with."""

    tuning: Sequence[Utterance]
    held_out: Sequence[Utterance]

    @property
    def common(self) -> int:
        """Held-out utterances whose sentence is tuned on."""
        known = set(map(_sentence, self.tuning))
        return sum(_sentence(utterance) in known for utterance in self.held_out)


def hold_out(utterances: Sequence[Utterance]) -> Parts:
    """Hold at most a third of the utterances out, sentence by sentence.

    Raises ``ManifestError`` when there are too few sentences, or one makes up too much.
    """
    counts = Counter(map(_sentence, utterances))
    held_out: set[str] = set()
    room = len(utterances) // 3
    for sentence in sorted(counts, key=_hash):
        if counts[sentence] <= room:
            held_out.add(sentence)
            room -= counts[sentence]
    if not held_out:
        raise ManifestError(
            f"{len(utterances)} utterances of {len(counts)} sentences are too few to hold a part"
            " out, expected three or more: give another manifest with --held-out"
        )
    return Parts(
        [utterance for utterance in utterances if _sentence(utterance) not in held_out],
        [utterance for utterance in utterances if _sentence(utterance) in held_out],
    )


def count_words(utterances: Iterable[Utterance]) -> int:
    """Words of the references."""
    return sum(len(utterance.reference.split()) for utterance in utterances)


def _sentence(utterance: Utterance) -> str:
    return " ".join(utterance.reference.split())


def _hash(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode(errors="surrogatepass")).digest()
