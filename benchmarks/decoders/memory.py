"""Resident memory over many utterances: does decoding keep what it need not?

Flow: utterances, one after the other → decoder or pool → resident bytes of this process and of
those that it started, from ``/proc``, after a warm-up and at the end → :class:`MemoryFigures`.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from client.decoding import BeamDecoder, BeamOptions, make_decoder
from client.decoding.pool import DecoderPool
from client.wire.contract import Contract

WARM_UP: Final = 1_000
"""Utterances decoded before the first look, at most half of them."""
_IN_FLIGHT: Final = 64
_PROC: Final = Path("/proc")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


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
        decoded = _in_flight(pool.submit, utterances)
        return _watch("ours, in a pool", processes, decoded, count)


def resident_bytes() -> tuple[int, int]:
    """Of this process, and of its children together."""
    children = [
        stat.parent.name for stat in _PROC.glob("[0-9]*/stat") if _parent(stat) == os.getpid()
    ]
    return _resident("self"), sum(map(_resident, children))


def _watch(name: str, processes: int, decoded: Iterator[Any], count: int) -> MemoryFigures:
    warm_up = min(WARM_UP, count // 2)
    _exhaust(islice(decoded, warm_up))
    before, children_before = resident_bytes()
    _exhaust(islice(decoded, count - warm_up))
    after, children_after = resident_bytes()
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


def _in_flight(
    submit: Callable[[NDArray[Any]], Future[Any]], utterances: Iterable[NDArray[Any]]
) -> Iterator[Any]:
    """The results in order, with some utterances under way."""
    pending: deque[Future[Any]] = deque()
    for log_probs in utterances:
        pending.append(submit(log_probs))
        if len(pending) == _IN_FLIGHT:
            yield pending.popleft().result()


def _exhaust(results: Iterator[Any]) -> None:
    deque(results, maxlen=0)


def _resident(process: str) -> int:
    try:
        return int((_PROC / process / "statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:  # it has just ended
        return 0


def _parent(stat: Path) -> int:
    """The parent's number; the process's name, in brackets before it, may hold anything."""
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0
