"""Words that a model writes where nobody speaks, and whether their confidence gives them away.

A confidence below which words are dropped would help if it took many of these words, few of those
that are right in real speech, and most of those that are wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.recordings.noises import Noise, recording
from benchmarks.recordings.sessions import Spoken
from benchmarks.recordings.ways import ACTIVITY, both_ways
from client.decoding import GreedyOptions
from client.evaluation.metrics import word_columns
from client.transcriber import Transcriber
from client.transcript import Transcript

FLOORS: Final = (0.3, 0.5, 0.7)
GREEDY: Final = GreedyOptions(confidence=True)
RIGHT: Final = "speech, right words"
WRONG: Final = "speech, wrong words"


@dataclass(frozen=True)
class Confidences:
    """How many of ``words`` have a confidence below each of ``FLOORS``."""

    words: int
    below: Sequence[int]

    @property
    def shares(self) -> list[float]:
        """Of the words, 0 to 1."""
        return [each / max(1, self.words) for each in self.below]


@dataclass(frozen=True)
class Hallucinated:
    """What was written in a noise, cut in one way.

    ``speech_share`` is how much of it was taken for speech, ``None`` where nothing is left out.
    """

    noise: str
    way: str
    audio_s: float
    words_per_hour: float
    speech_share: float | None
    confidences: Confidences


def hallucinate(
    url: str, model: str, noise: Noise, length_s: float, seed: int = 0
) -> Iterator[Hallucinated]:
    """Of each way, what the model writes in so many seconds of the noise."""
    with both_ways(url, model, GREEDY) as ways:
        for way, transcriber in ways.items():
            rate_hz = transcriber.contract.sample_rate_hz
            samples = recording(noise, rate_hz, length_s, seed)
            transcript = transcriber.transcribe_one(samples)
            yield Hallucinated(
                noise=noise.name,
                way=way,
                audio_s=length_s,
                words_per_hour=len(transcript.words) * 3600 / length_s,
                speech_share=_speech_s(transcript) / length_s if way == ACTIVITY else None,
                confidences=_counted([word.confidence for word in transcript.words]),
            )


def confidences_of_speech(
    url: str, model: str, utterances: Sequence[Spoken]
) -> dict[str, Confidences]:
    """The same of the words of real speech, one utterance at a time: ``RIGHT`` and ``WRONG``."""
    confidences: dict[str, list[float | None]] = {RIGHT: [], WRONG: []}
    with Transcriber(url, model, decoder=GREEDY) as transcriber:
        results = transcriber.transcribe(each.samples for each in utterances)
        for each, result in zip(utterances, results, strict=True):
            transcript = result.unwrap()
            columns = word_columns(each.text, transcript.text)
            heard = [(word, other) for word, other in columns if other]
            for (word, other), told in zip(heard, transcript.words, strict=True):
                confidences[RIGHT if word == other else WRONG].append(told.confidence)
    return {name: _counted(found) for name, found in confidences.items()}


def _counted(confidences: Sequence[float | None]) -> Confidences:
    known = [each for each in confidences if each is not None]
    return Confidences(len(known), [sum(each < floor for each in known) for floor in FLOORS])


def _speech_s(transcript: Transcript) -> float:
    return sum(each.end_s - each.start_s for each in transcript.segments or ())
