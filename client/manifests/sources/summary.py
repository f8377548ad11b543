"""The size of a manifest, the characters of its texts, and whether a model fits it."""

import statistics
from collections import Counter
from dataclasses import dataclass, field

from ...language_models.spelling import Spelling
from ...wire.contract import Contract
from .files import Fault, Problem
from .measuring import Measured


@dataclass
class Summary:
    """Counts over the utterances and problems added."""

    durations_s: list[float] = field(default_factory=list)
    """Of the utterances in the manifest."""
    without_text: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    """How often each occurs in the texts."""
    left_out: Counter[Fault] = field(default_factory=Counter)

    def add(self, each: Measured | Problem) -> None:
        """Count an utterance or a problem."""
        if isinstance(each, Problem):
            self.left_out[each.fault] += 1
            return
        self.durations_s.append(each.duration_s)
        self.without_text += each.utterance.text is None
        self.characters.update(each.utterance.text or "")

    @property
    def audio_s(self) -> float:
        """Total seconds of audio."""
        return sum(self.durations_s)

    @property
    def median_s(self) -> float:
        """The median utterance's seconds; there must be one."""
        return statistics.median(self.durations_s)


class ModelFit:
    """The utterances that a model cannot take, and the characters that it cannot write."""

    def __init__(self, contract: Contract) -> None:
        self.shortest_s = contract.min_samples / contract.sample_rate_hz
        self.longest_s = contract.max_samples / contract.sample_rate_hz
        self.too_short = 0
        self.too_long = 0
        self.unwritable_texts = 0
        self.unwritable_characters: Counter[str] = Counter()
        self._spelling = Spelling.of_contract(contract)

    def add(self, measured: Measured) -> str:
        """Count an utterance; returns why the model rejects its audio, or an empty text."""
        text = measured.utterance.text or ""
        unwritable = self._spelling.unwritable(text)
        self.unwritable_texts += bool(unwritable)
        self.unwritable_characters.update(each for each in text if each in unwritable)
        duration_s = measured.duration_s
        if duration_s > self.longest_s:
            self.too_long += 1
            return f"is {duration_s:.2f} s long, the model takes at most {self.longest_s:g} s"
        if duration_s < self.shortest_s:
            self.too_short += 1
            return f"is {duration_s:.3f} s long, the model takes at least {self.shortest_s:g} s"
        return ""
