"""Word errors of stitched recordings against the same in one piece, for windows and overlaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.long_audio.sessions import Session
from client.decoding import Decoder
from client.evaluation.metrics import word_errors
from client.long_audio import LongAudioOptions, Stitcher, cut, plan_windows
from client.wire.contract import LOG_PROBS, Contract
from client.wire.transport import Transport


@dataclass(frozen=True)
class Cell:
    """What one way of taking the sessions, by one decoder, gets wrong.

    ``way`` is ``utterances``, ``single pass`` or ``windows``.
    """

    way: str
    decoder: str
    errors: int
    words: int
    window_s: float | None = None
    overlap_s: float | None = None

    @property
    def rate(self) -> float:
        """Word error rate, a fraction."""
        return self.errors / self.words


def compare(
    transport: Transport,
    sessions: Sequence[Session],
    decoders: Mapping[str, Decoder],
    options: Sequence[LongAudioOptions],
) -> Iterator[Cell]:
    """The errors by utterance, in one pass, and with each of the options.

    Decoders take ``log_probs``. Raises the client's errors, for sessions longer than the model
    takes too.
    """
    references = [session.text for session in sessions]
    by_utterance = [
        [_answer(transport, each.samples) for each in session.utterances] for session in sessions
    ]
    for name, decoder in decoders.items():
        texts = [" ".join(decoder.decode(each).text for each in them) for them in by_utterance]
        yield _cell("utterances", name, references, texts)
    whole = [_answer(transport, session.samples) for session in sessions]
    for name, decoder in decoders.items():
        yield _cell("single pass", name, references, _texts(decoder, whole))
    for each in options:
        stitched = [_stitched(transport, session, each) for session in sessions]
        for name, decoder in decoders.items():
            texts = _texts(decoder, stitched)
            yield _cell("windows", name, references, texts, each)


def _cell(
    way: str,
    decoder: str,
    references: Sequence[str],
    texts: Sequence[str],
    options: LongAudioOptions | None = None,
) -> Cell:
    counts = word_errors(references, texts)
    window_s, overlap_s = (options.window_s, options.overlap_s) if options else (None, None)
    return Cell(way, decoder, counts.errors, counts.reference, window_s, overlap_s)


def _texts(decoder: Decoder, log_probs: Sequence[NDArray[Any]]) -> list[str]:
    return [decoder.decode(each).text for each in log_probs]


def _answer(transport: Transport, samples: NDArray[np.int16]) -> NDArray[Any]:
    log_probs: NDArray[Any] = transport.submit(samples, LOG_PROBS).result().copy()
    return log_probs


def _stitched(transport: Transport, session: Session, options: LongAudioOptions) -> NDArray[Any]:
    contract: Contract = transport.contract
    stitcher = Stitcher()
    final = [
        stitcher.add(window.start_frame, _answer(transport, window.samples))
        for window in cut([session.samples], plan_windows(contract, options))
    ]
    whole: NDArray[Any] = np.concatenate([*final, stitcher.finish()])
    return whole
