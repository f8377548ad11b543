"""What other types do to texts: the same recordings in each way, decoded greedily and by beam."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from benchmarks.load.loop import Target
from benchmarks.wire.caller import Caller
from benchmarks.wire.variants import FLOAT, HALF
from benchmarks.wire.ways import BEAM, Way
from client.audio import load_audio
from client.decoding import DecoderOptions, make_decoder
from client.errors import AsrError
from client.evaluation.metrics import word_errors
from client.manifests.manifest import read_manifest, with_text
from client.wire.contract import LOG_PROBS, LOG_PROBS_LENGTH, Contract

WAYS: Final = (
    Way("as served", BEAM),
    Way("FP32 audio", BEAM, "as served", FLOAT),
    Way("FP16 log_probs", BEAM, "as served", HALF),
)


@dataclass(frozen=True)
class Recordings:
    """Utterances int16 [N] and what was said."""

    audio: Sequence[NDArray[np.int16]]
    references: Sequence[str]


@dataclass(frozen=True)
class Accuracy:
    """Word errors of one way with one decoder.

    ``most_apart`` is the largest difference of ``log_probs`` to the first way's, ``other_texts``
    the number of texts that are not the first way's.
    """

    way: str
    decoder: str
    errors: int
    words: int
    other_texts: int
    most_apart: float


def read_recordings(manifest: Path, rate_hz: int) -> Recordings:
    """All recordings of the manifest; raises what is wrong with the first bad one."""
    audio, references = [], []
    for entry in with_text(read_manifest(manifest)):
        if isinstance(entry.item, AsrError):
            raise entry.item
        audio.append(load_audio(entry.item, rate_hz))
        references.append(str(entry.fields["text"]))
    if not audio:
        raise SpeechError(f"{manifest}: no recordings, expected some")
    return Recordings(audio, references)


def accuracies(
    target: Target,
    contract: Contract,
    recordings: Recordings,
    decoders: Mapping[str, DecoderOptions],
) -> list[Accuracy]:
    """Word errors of every way with every decoder, one utterance at a time."""
    found = []
    frames = {way.name: _log_probs(target, way, recordings) for way in WAYS}
    served = frames[WAYS[0].name]
    for name, options in decoders.items():
        decoder = make_decoder(contract, options)
        try:
            texts = {
                way: [decoder.decode(each).text for each in several]
                for way, several in frames.items()
            }
        finally:
            decoder.close()
        for way, own in texts.items():
            counts = word_errors(recordings.references, own)
            pairs = zip(own, texts[WAYS[0].name], strict=True)
            found.append(
                Accuracy(
                    way=way,
                    decoder=name,
                    errors=counts.errors,
                    words=counts.reference,
                    other_texts=sum(one != two for one, two in pairs),
                    most_apart=_most_apart(frames[way], served),
                )
            )
    return found


def _log_probs(target: Target, way: Way, recordings: Recordings) -> list[NDArray[Any]]:
    """Each utterance's ``log_probs``, float32 [S, V]."""
    found = []
    with Caller(target.url, target.model, way) as caller:
        for samples in recordings.audio:
            reply = caller.call(caller.prepare(samples))
            found.append(reply[LOG_PROBS][0, : reply[LOG_PROBS_LENGTH][0, 0]])
    return found


def _most_apart(several: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> float:
    pairs = zip(several, others, strict=True)
    return max(float(np.abs(one - two).max()) for one, two in pairs)
