"""Decoders tried on many utterances, in threads that share the language models.

Flow: decoders and examples → shares → thread → ``log_probs`` from their files → texts → errors
against the references → in the order asked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Event
from time import thread_time
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...decoding import BeamDecoder, BeamOptions, Decoder, DecoderOptions, make_decoder
from ...language_models import load_language_model
from ...wire.contract import Contract
from ..metrics import errors_by_utterance
from .parts import Example


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Counted:
    """What a decoder does to utterances: ``[utterances, 2]`` word errors and reference words.

    ``decoding_s`` is one core's time for all of them.
    """

    by_utterance: NDArray[np.int64]
    decoding_s: float

    @property
    def errors(self) -> int:
        """Word errors."""
        return int(self.by_utterance[:, 0].sum())

    @property
    def words(self) -> int:
        """Words of the references."""
        return int(self.by_utterance[:, 1].sum())

    @property
    def rate(self) -> float:
        """Word errors as a fraction of the words."""
        return self.errors / max(self.words, 1)


Count: TypeAlias = Callable[[Sequence[DecoderOptions]], Iterable[Counted]]
"""Tries decoders on certain utterances; results come in order."""


class DecodingThreads:
    """Tries decoders for one model, until it is closed."""

    def __init__(self, contract: Contract, threads: int) -> None:
        self._contract = contract
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, "decoder")
        self._load = cache(load_language_model)
        self._closed = Event()

    def check(self, options: DecoderOptions) -> None:
        """Raise ``DecoderError`` when there is no such decoder."""
        self._decoder(options).close()

    def count(
        self, decoders: Sequence[DecoderOptions], examples: Sequence[Example]
    ) -> Iterator[Counted]:
        """What each decoder does to the examples, in order; raises what one of them raises."""
        shares = _shares(examples, -(-self._threads // len(decoders)))
        tasks = [
            [self._executor.submit(self._count, self._decoder(options), share) for share in shares]
            for options in decoders
        ]
        for of_decoder in tasks:
            yield _joined([task.result() for task in of_decoder])

    def close(self) -> None:
        """End when the utterances that are being decoded are done."""
        self._closed.set()
        self._executor.shutdown(cancel_futures=True)

    def _decoder(self, options: DecoderOptions) -> Decoder:
        if not isinstance(options, BeamOptions):
            return make_decoder(self._contract, options)
        models = [self._load(each.path, options.unigrams) for each in options.language_models]
        return BeamDecoder(self._contract, options, tuple(models))

    def _count(self, decoder: Decoder, examples: Sequence[Example]) -> Counted:
        start_s = thread_time()
        texts = []
        for example in examples:
            if self._closed.is_set():
                raise CancelledError
            texts.append(example.output.decoded(decoder).text)
        decoding_s = thread_time() - start_s
        references = [example.reference for example in examples]
        return Counted(errors_by_utterance(references, texts), decoding_s)


def _shares(examples: Sequence[Example], number: int) -> list[Sequence[Example]]:
    size = -(-len(examples) // number)
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def _joined(counted: Sequence[Counted]) -> Counted:
    return Counted(
        np.concatenate([each.by_utterance for each in counted]),
        sum(each.decoding_s for each in counted),
    )
