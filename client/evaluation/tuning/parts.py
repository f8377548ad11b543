"""The utterances to tune on, and those held out to check the result with.

Chosen by the hash of the sentence: the same each time, and no sentence in both parts, which would
make the check easier than life.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import InvalidRequest, ManifestError, ServerError
from ...manifests.manifest import Manifest, entries_of, path_of, with_text
from ..acoustic_cache import AcousticOutput
from ..acoustics import AcousticModel
from ..progress import OnProgress, ignore, tracked
from ..result import Failure


@dataclass(frozen=True)
class Example:
    """An utterance to tune on or check with: its reference, and the model's outputs."""

    reference: str
    output: AcousticOutput


def read_examples(
    manifest: Manifest, model: AcousticModel, on_progress: OnProgress = ignore
) -> tuple[list[Example], list[Failure]]:
    """The manifest's utterances after an acoustic pass, and those that failed.

    Raises ``ManifestError`` without any, and ``ServerError`` when the server fails, which is no
    recording's fault: the cache keeps what was done.
    """
    entries = list(with_text(entries_of(manifest)))
    failures: list[Failure] = []
    for entry, result in tracked("Transcribing", model.run(entries), len(entries), on_progress):
        error = result.error
        if isinstance(error, ServerError) and not isinstance(error, InvalidRequest):
            raise error
        if error is not None:
            failures.append(Failure(entry.line, entry.name, error.message))
    outputs = model.outputs
    examples = [
        Example(entry.fields["text"], outputs[entry.line])
        for entry in entries
        if entry.line in outputs
    ]
    if not examples:
        raise ManifestError(f"{path_of(manifest)}: holds no recordings with text, expected some")
    return examples, failures


class Parts(NamedTuple):
    """To tune on, and to check with."""

    tuning: Sequence[Example]
    held_out: Sequence[Example]

    @property
    def common(self) -> int:
        """Held-out examples whose sentence is tuned on."""
        known = set(map(_sentence, self.tuning))
        return sum(_sentence(example) in known for example in self.held_out)


def hold_out(examples: Sequence[Example]) -> Parts:
    """Hold at most a third of the examples out, sentence by sentence.

    Raises ``ManifestError`` when there are too few sentences, or one makes up too much.
    """
    counts = Counter(map(_sentence, examples))
    held_out: set[str] = set()
    room = len(examples) // 3
    for sentence in sorted(counts, key=_hash):
        if counts[sentence] <= room:
            held_out.add(sentence)
            room -= counts[sentence]
    if not held_out:
        raise ManifestError(
            f"{len(examples)} utterances of {len(counts)} sentences are too few to hold a part"
            " out, expected three or more: hold out another manifest",
            options=("hold_out()",),
        )
    return Parts(
        [example for example in examples if _sentence(example) not in held_out],
        [example for example in examples if _sentence(example) in held_out],
    )


def count_words(examples: Iterable[Example]) -> int:
    """Words of the references."""
    return sum(len(example.reference.split()) for example in examples)


def _sentence(example: Example) -> str:
    return " ".join(example.reference.split())


def _hash(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode(errors="surrogatepass")).digest()
