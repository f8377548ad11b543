"""Decoding a model's outputs, with the time that each utterance takes.

Flow: ``log_probs`` from their files → the decoder, here or in the processes of a
``DecoderPool`` → transcripts in order.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, cast

from numpy.typing import NDArray

from ..decoding import BeamOptions, DecoderOptions, make_decoder
from ..decoding.pool import DecoderPool
from ..decoding.worker import portable
from ..errors import AsrError
from ..transcript import Transcript
from ..utils.in_order import in_order
from ..wire.contract import Contract
from .acoustics import AcousticOutput

if TYPE_CHECKING:
    from concurrent.futures import Future

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
        start_s = thread_time()
        transcript = self._decoder.decode(outputs, duration_s)
        return TimedTranscript(**vars(transcript), decoding_s=thread_time() - start_s)

    def close(self) -> None:
        """Release what the decoder holds."""
        self._decoder.close()


def decode(
    contract: Contract, options: DecoderOptions, outputs: Iterable[AcousticOutput], processes: int
) -> Iterator[TimedTranscript | AsrError]:
    """The transcript of each utterance, in order, or why there is none.

    Searches in ``processes`` processes, or in this one for 0, where greedy decoding always is.
    Raises ``DecoderError`` when there is no such decoder.
    """
    make = partial(TimedDecoder, contract, options)
    if processes and isinstance(options, BeamOptions):
        with DecoderPool(make, processes, _QUEUED) as pool:
            futures = (pool.submit(each.log_probs(), each.duration_s) for each in outputs)
            for future in in_order(futures, lambda each: each, _QUEUED):
                yield _outcome(cast("Future[TimedTranscript]", future).result)
        return
    decoder = make()
    for each in outputs:
        yield _outcome(partial(decoder.decode, each.log_probs(), each.duration_s))
    decoder.close()


def _outcome(decode: Callable[[], TimedTranscript]) -> TimedTranscript | AsrError:
    try:
        return decode()
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is this utterance's
        return portable(error, "the decoder failed")
