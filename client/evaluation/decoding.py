"""Decoding a model's outputs, with the time that each utterance takes.

Flow: ``log_probs`` from their files → the decoder, here or in threads → transcripts in order.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from time import thread_time
from typing import Any, Final

from numpy.typing import NDArray

from ..decoding import DecoderOptions, make_decoder
from ..decoding.options import SearchOptions
from ..errors import AsrError
from ..transcript import Transcript
from ..utils.in_order import in_order
from ..wire.contract import Contract
from .acoustic_cache import AcousticOutput

_QUEUED: Final = 64


@dataclass(frozen=True)
class TimedTranscript(Transcript):
    """A transcript that cost ``decoding_s`` of one core's time."""

    decoding_s: float = field(default=0.0, compare=False)


class TimedDecoder:
    """A decoder that measures its time; raises as ``make_decoder``."""

    def __init__(self, contract: Contract, options: DecoderOptions) -> None:
        self._decoder = make_decoder(contract, options)
        self.output: Final = self._decoder.output

    def decode(self, outputs: NDArray[Any], duration_s: float = math.inf) -> TimedTranscript:
        """As ``Decoder.decode``."""
        return _timed(lambda: self._decoder.decode(outputs, duration_s))

    def close(self) -> None:
        """Release what the decoder holds."""
        self._decoder.close()


def _timed(decode: Callable[[], Transcript]) -> TimedTranscript:
    start_s = thread_time()
    transcript = decode()
    return TimedTranscript(**vars(transcript), decoding_s=thread_time() - start_s)


def decode(
    contract: Contract, options: DecoderOptions, outputs: Iterable[AcousticOutput], threads: int
) -> Iterator[TimedTranscript | AsrError]:
    """The transcript of each utterance, in order, or why there is none.

    Searches in ``threads`` threads, or in this one for 0, where greedy decoding always is. Raises
    ``DecoderError`` when there is no such decoder.
    """
    decoder = make_decoder(contract, options)

    def outcome(each: AcousticOutput) -> TimedTranscript | AsrError:
        try:
            return _timed(lambda: each.decoded(decoder))
        except AsrError as error:
            return error

    with closing(decoder):
        if not (threads and isinstance(options, SearchOptions)):
            yield from map(outcome, outputs)
            return
        executor = ThreadPoolExecutor(threads, "decoder")
        try:
            futures = (executor.submit(outcome, each) for each in outputs)
            for future in in_order(futures, lambda each: each, _QUEUED):
                yield future.result()
        finally:
            executor.shutdown(cancel_futures=True)
