"""Decoding in several processes.

Flow: speech → pools, all of them started first → ``time_in_turns`` → :class:`PoolFigures` each.
"""

import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from benchmarks.decoders.peers import make_pyctcdecode, search_options
from benchmarks.decoders.speech import Speech
from benchmarks.errors import ProviderError
from benchmarks.measurement import Speed, summarise, time_in_turns
from client.decoding import BeamOptions, make_decoder
from client.decoding.pool import DecoderPool
from client.evaluation.metrics import word_errors
from client.wire.contract import Contract

DecodeAll: TypeAlias = Callable[[Sequence[NDArray[Any]]], list[str]]


@dataclass(frozen=True)
class PoolFigures:
    """A pool's throughput; ``scaling`` is to the same decoder's pool of the fewest processes."""

    name: str
    processes: int
    errors: int
    speed: Speed
    scaling: float


@contextmanager
def our_pool(contract: Contract, options: BeamOptions, processes: int) -> Iterator[DecodeAll]:
    """``client.decoding.pool``, as the client uses it."""
    with DecoderPool(partial(make_decoder, contract, options), processes) as pool:

        def decode(log_probs: Sequence[NDArray[Any]]) -> list[str]:
            futures = [pool.submit(each) for each in log_probs]
            return [future.result().text for future in futures]

        yield decode


@contextmanager
def pyctcdecode_pool(
    contract: Contract, options: BeamOptions, processes: int
) -> Iterator[DecodeAll]:
    """``decode_batch`` with a pool of forked processes, as pyctcdecode's README says."""
    decoder = make_pyctcdecode(contract, options)  # before the fork: processes inherit it
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads, such as numpy's, which hold no lock here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = multiprocessing.get_context("fork").Pool(processes)
    with pool:
        yield partial(decoder.decode_batch, pool, **search_options(options))


POOLS: Final = {"pyctcdecode": pyctcdecode_pool, "ours": our_pool}
"""Forks come first: later there are threads."""


def measure_pools(
    speech: Speech, options: BeamOptions, processes: Sequence[int], rounds: int
) -> list[PoolFigures]:
    """Figures of each pool, if its decoder is installed, with each number of processes."""
    texts: dict[tuple[str, int], list[str]] = {}
    jobs: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        for name, open_pool in POOLS.items():
            for number in sorted(processes):
                with suppress(ProviderError):
                    decode = stack.enter_context(open_pool(speech.contract, options, number))
                    texts[name, number] = []
                    job = partial(_decode, decode, speech.log_probs, texts[name, number])
                    jobs[_key(name, number)] = job
        runs = time_in_turns(jobs, rounds, warmups=1)
    speeds = {speed.name: speed for speed in summarise(runs, speech.audio_s)}
    figures: list[PoolFigures] = []
    for (name, number), found in texts.items():
        speed = speeds[_key(name, number)]
        fewest = next((each.speed for each in figures if each.name == name), speed)
        figures.append(
            PoolFigures(
                name=name,
                processes=number,
                errors=word_errors(speech.references, found).errors,
                speed=speed,
                scaling=speed.rtfx / fewest.rtfx,
            )
        )
    return figures


def _decode(decode: DecodeAll, log_probs: Sequence[NDArray[Any]], texts: list[str]) -> None:
    """Decode everything, and keep the texts."""
    texts[:] = decode(log_probs)


def _key(name: str, processes: int) -> str:
    return f"{name}, {processes} processes"
