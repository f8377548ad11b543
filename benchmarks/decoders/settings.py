"""What decoders are compared at: with and without a language model, hotwords, and doubtful audio.

Doubtful audio is the same utterances, flattened: their log-probabilities are divided by a
temperature and normalised. Then more than twice as many tokens of a frame pass the pruning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.decoders.peers import OURS, PEERS
from benchmarks.decoders.speech import Speech
from client.decoding import BeamOptions, Hotword
from client.vocabulary import Detokenizer

TEMPERATURE: Final = 2.0
"""Of doubtful audio. In generated speech it leaves 3.4 tokens a frame, not 1.5; the most that any
temperature leaves is 3.9, at 2.5."""
NARROW: Final = (16, 8)
FEW_HOTWORDS, MANY_HOTWORDS = 20, 1_000
_INVENTED: Final = 0.5  # share of the many hotwords


@dataclass(frozen=True)
class Setting:
    """What the decoders called ``decoders`` are given."""

    name: str
    speech: Speech
    options: BeamOptions
    decoders: Sequence[str] = tuple(PEERS)


def settings(speech: Speech, doubtful: Speech, lm: Path) -> list[Setting]:
    """All settings for some speech and the same, or a part of it, as doubtful audio."""
    with_lm, without = BeamOptions(lm=lm), BeamOptions()
    few, many = said_words(speech, FEW_HOTWORDS), phrases(speech, MANY_HOTWORDS)
    half = speech.part(len(speech.references) // 2)
    return [
        Setting("3-gram", speech, with_lm),
        *(
            Setting(f"3-gram, beam {width}", speech, replace(with_lm, beam_width=width))
            for width in NARROW
        ),
        Setting("no model", half, without),
        Setting(f"no model, {FEW_HOTWORDS} hotwords", half, replace(without, hotwords=few)),
        Setting("doubtful audio", doubtful, without),
        Setting(
            f"doubtful audio, {FEW_HOTWORDS} hotwords", doubtful, replace(without, hotwords=few)
        ),
        *(
            Setting(
                f"{name}, {MANY_HOTWORDS:,} hotwords",
                half,
                replace(options, hotwords=many),
                (OURS,),
            )
            for name, options in (("3-gram", with_lm), ("no model", without))
        ),
    ]


def said_words(speech: Speech, count: int) -> tuple[Hotword, ...]:
    """Words that are said, from all over the alphabet."""
    words = sorted({word for text in speech.references for word in text.split()})
    chosen = np.linspace(0, len(words) - 1, min(count, len(words))).astype(int)
    return tuple(Hotword(words[number]) for number in chosen)


def phrases(speech: Speech, count: int) -> tuple[Hotword, ...]:
    """Phrases of one to three words, half of them said and half of invented words."""
    rng = default_rng(0)
    sentences = [text.split() for text in speech.references]
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(rng.integers(1, 4))
        if rng.random() < _INVENTED:
            words = [_invented(speech, rng) for _ in range(length)]
        else:
            sentence = sentences[rng.integers(len(sentences))]
            start = int(rng.integers(len(sentence)))
            words = sentence[start : start + length]
        found[" ".join(words)] = None
    return tuple(map(Hotword, found))


def _invented(speech: Speech, rng: Generator) -> str:
    """A word of two to four tokens that write letters."""
    contract = speech.contract
    written = Detokenizer(contract.vocabulary, contract.vocabulary_kind).written
    letters = [word for each in written if (word := each.strip()).isalpha()]
    return "".join(rng.choice(letters, rng.integers(2, 5)))


def as_doubtful(speech: Speech) -> Speech:
    """The speech as doubtful audio."""
    return replace(speech, log_probs=[flattened(each, TEMPERATURE) for each in speech.log_probs])


def flattened(log_probs: NDArray[Any], temperature: float) -> NDArray[np.float32]:
    """The ``log_probs``, ``[S, V]``, at another temperature, and normalised again."""
    scaled = log_probs / temperature
    normalised: NDArray[Any] = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return normalised.astype(np.float32)
