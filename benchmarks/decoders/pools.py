"""Decoding in several processes, and its memory over many utterances.

Flow: speech → pools, all of them started first → ``time_in_turns`` → :class:`PoolFigures` each.
Utterances, one after the other → decoder or pool → resident bytes after a warm-up and at the end →
:class:`MemoryFigures`.
"""

import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from benchmarks.decoders.peers import make_pyctcdecode, search_options
from benchmarks.decoders.speech import Speech
from benchmarks.errors import ProviderError
from benchmarks.measurement import Speed, summarise, time_in_turns
from client.decoding import BeamDecoder, BeamOptions, make_decoder
from client.decoding.pool import DecoderPool
from client.evaluation.metrics import word_errors
from client.utils.in_order import in_order
from client.wire.contract import Contract
from server.processes import children, usage

WARM_UP: Final = 1_000
"""Utterances decoded before the first look, at most half of them."""
_IN_FLIGHT: Final = 64

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


@dataclass(frozen=True)
class MemoryFigures:
    """Resident memory after ``warm_up`` utterances and after all.

    ``children_…`` is that of the decoding processes together, if there are any. Growth is a
    fraction.
    """

    name: str
    processes: int
    utterances: int
    warm_up: int
    bytes_before: int
    bytes_after: int
    growth: float
    children_bytes_before: int
    children_bytes_after: int
    children_growth: float | None


def measure_in_thread(
    contract: Contract, options: BeamOptions, utterances: Iterable[NDArray[Any]], count: int
) -> MemoryFigures:
    """Our decoder in this process, on the first ``count`` utterances."""
    decoder = BeamDecoder(contract, options)
    return _watch("ours, in the caller's thread", 1, map(decoder.decode, utterances), count)


def measure_pool(
    contract: Contract,
    options: BeamOptions,
    utterances: Iterable[NDArray[Any]],
    count: int,
    processes: int,
) -> MemoryFigures:
    """Our pool, on the first ``count`` utterances."""
    with DecoderPool(partial(make_decoder, contract, options), processes) as pool:
        begun = in_order(map(pool.submit, utterances), lambda each: each, _IN_FLIGHT)
        decoded = (future.result() for future in begun)
        return _watch("ours, in a pool", processes, decoded, count)


def _decode(decode: DecodeAll, log_probs: Sequence[NDArray[Any]], texts: list[str]) -> None:
    """Decode everything, and keep the texts."""
    texts[:] = decode(log_probs)


def _key(name: str, processes: int) -> str:
    return f"{name}, {processes} processes"


def _watch(name: str, processes: int, decoded: Iterator[Any], count: int) -> MemoryFigures:
    warm_up = min(WARM_UP, count // 2)
    deque(islice(decoded, warm_up), maxlen=0)
    before, children_before = _resident_bytes()
    deque(islice(decoded, count - warm_up), maxlen=0)
    after, children_after = _resident_bytes()
    return MemoryFigures(
        name=name,
        processes=processes,
        utterances=count,
        warm_up=warm_up,
        bytes_before=before,
        bytes_after=after,
        growth=after / before - 1,
        children_bytes_before=children_before,
        children_bytes_after=children_after,
        children_growth=children_after / children_before - 1 if children_before else None,
    )


def _resident_bytes() -> tuple[int, int]:
    """Of this process, and of its children together."""
    own, *others = (usage(pid) for pid in (os.getpid(), *children(os.getpid())))
    return own.rss_bytes if own else 0, sum(used.rss_bytes for used in others if used)
