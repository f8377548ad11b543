"""Decoders tried on many utterances, in processes that load the language model once.

Flow: decoders and examples → shares → process → ``log_probs`` from their files → texts → errors
against the references → in the order asked.

A process lives as long as this one holds the end of a pipe: it ends at once when that is closed,
and when this process dies. Ctrl-C reaches this process alone.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from time import thread_time
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...decoding import BeamDecoder, BeamOptions, Decoder, DecoderOptions, make_decoder
from ...errors import DecoderError
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


class DecodingProcesses:
    """Tries decoders for one model, until it is closed."""

    def __init__(self, contract: Contract, processes: int) -> None:
        context = get_context("spawn")
        reader, self._held = context.Pipe(duplex=False)
        self._contract = contract
        self._processes = processes
        self._executor = ProcessPoolExecutor(processes, context, _begin, (reader,))

    def check(self, options: DecoderOptions) -> None:
        """Raise ``DecoderError`` when there is no such decoder."""
        with _crashes():
            self._submit(options, ()).result()

    def count(
        self, decoders: Sequence[DecoderOptions], examples: Sequence[Example]
    ) -> Iterator[Counted]:
        """What each decoder does to the examples, in order.

        Raises ``DecoderError`` when one of them fails, or a process dies.
        """
        shares = _shares(examples, -(-self._processes // len(decoders)))
        with _crashes():
            tasks = [[self._submit(options, share) for share in shares] for options in decoders]
            for of_decoder in tasks:
                yield _joined(of_decoder)

    def _submit(self, options: DecoderOptions, examples: Sequence[Example]) -> Future[Counted]:
        with _interrupts_held():  # it starts processes
            return self._executor.submit(_count, self._contract, options, examples)

    def close(self) -> None:
        """End the processes at once."""
        self._held.close()
        self._executor.shutdown(cancel_futures=True)


def _shares(examples: Sequence[Example], number: int) -> list[Sequence[Example]]:
    size = -(-len(examples) // number)
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def _joined(tasks: Sequence[Future[Counted]]) -> Counted:
    counted = [task.result() for task in tasks]
    return Counted(
        np.concatenate([each.by_utterance for each in counted]),
        sum(each.decoding_s for each in counted),
    )


@contextmanager
def _crashes() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise DecoderError(
            "a decoding process died, and with it the search: did memory run out? Use fewer"
            " processes, or a KenLM binary, which they share",
            options=("TuningOptions.processes", "convert()"),
        ) from error


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C comes afterwards here, and never in the processes that are started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(held: Connection) -> None:
    """Set a process up to end with the other end of the pipe."""
    Thread(target=_end_with, args=(held,), daemon=True).start()


def _end_with(held: Connection) -> None:
    with suppress(EOFError, OSError):
        held.recv_bytes()
    os._exit(0)


def _count(contract: Contract, options: DecoderOptions, examples: Sequence[Example]) -> Counted:
    decoder = _decoder(contract, options)
    start_s = thread_time()
    texts = [decoder.decode(example.output.log_probs()).text for example in examples]
    decoding_s = thread_time() - start_s
    references = [example.reference for example in examples]
    return Counted(errors_by_utterance(references, texts), decoding_s)


def _decoder(contract: Contract, options: DecoderOptions) -> Decoder:
    if isinstance(options, BeamOptions) and options.lm is not None:
        return BeamDecoder(contract, options, _language_model(options.lm, options.unigrams))
    return make_decoder(contract, options)


_language_model = cache(load_language_model)
