"""Word errors of utterances, and of recordings that they are joined into.

Flow: utterances of each manifest → ``at_most`` an hour of them in one recording, for each kind of
pause and each seed → transcripts, in windows and by voice activity → word errors, summed.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.recordings.sessions import PAUSES, Joining, Spoken, at_most
from benchmarks.recordings.ways import both_ways
from client.decoding import DecoderOptions
from client.evaluation.metrics import ErrorCounts, word_errors
from client.transcriber import Transcriber

PAUSES_S: Final = (0.5, 1.5)
ONE_BY_ONE: Final = "one by one"
_MOST_S: Final = 3600.0


@dataclass(frozen=True)
class Errors:
    """Word errors of one decoder and one way, of each seed; ``pauses`` is empty one by one."""

    pauses: str
    decoder: str
    way: str
    words: int
    errors: Sequence[int]

    @property
    def rate(self) -> float:
        """The word error rate, the mean of the seeds."""
        return statistics.mean(self.errors) / max(1, self.words)


@dataclass(frozen=True)
class Model:
    """A served model, and its decoders by name."""

    url: str
    name: str
    decoders: Mapping[str, DecoderOptions]


def count_errors(
    model: Model,
    manifests: Sequence[Sequence[Spoken]],
    seeds: int,
    tell: Callable[[Errors], None],
) -> list[Errors]:
    """Those of every decoder, kind of pause and way; ``tell`` gets each when it is known."""
    found = []
    for name, decoder in model.decoders.items():
        for each in _of_decoder(model, name, decoder, manifests, seeds):
            tell(each)
            found.append(each)
    return found


def _of_decoder(
    model: Model,
    name: str,
    decoder: DecoderOptions,
    manifests: Sequence[Sequence[Spoken]],
    seeds: int,
) -> Iterator[Errors]:
    with Transcriber(model.url, model.name, decoder=decoder) as transcriber:
        rate_hz = transcriber.contract.sample_rate_hz
        alone = _total(_errors_alone(transcriber, each) for each in manifests)
    yield Errors("", name, ONE_BY_ONE, alone.reference, [alone.errors])
    with both_ways(model.url, model.name, decoder) as ways:
        for pauses in PAUSES:
            joinings = [Joining(rate_hz, PAUSES_S, pauses, seed) for seed in range(seeds)]
            for way, transcriber in ways.items():
                errors = [
                    _total(_errors_joined(transcriber, each, joining) for each in manifests).errors
                    for joining in joinings
                ]
                yield Errors(pauses, name, way, alone.reference, errors)


def _errors_alone(transcriber: Transcriber, utterances: Sequence[Spoken]) -> ErrorCounts:
    results = transcriber.transcribe(each.samples for each in utterances)
    return word_errors([each.text for each in utterances], [each.text for each in results])


def _errors_joined(
    transcriber: Transcriber, utterances: Sequence[Spoken], joining: Joining
) -> ErrorCounts:
    return _total(
        word_errors([session.text], [transcriber.transcribe_one(session.samples).text])
        for session in at_most(utterances, joining, _MOST_S)
    )


def _total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    return sum(counts, ErrorCounts())
