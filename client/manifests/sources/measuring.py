"""Recordings opened and measured, many at a time, and what does not hold of them.

Opening reads a recording's header and its end, where it shows whether a copy broke off; of some
formats all of it, for only that shows how long it is, or whether another recording follows.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ...audio import length_of
from ...audio.options import SLACK_S
from ...errors import AudioError
from ...utils.in_order import in_order
from ...utils.shortened import shortened
from .files import plain
from .source import Fault, LeftOut, Problem, Utterance

if TYPE_CHECKING:
    from pathlib import Path

_MOST_UNDER_WAY: Final = 256
_DECIMALS: Final = 3

Length: TypeAlias = "Future[float]"
_Piece: TypeAlias = tuple[str, float, float]
"""A recording, where in it a piece begins, and how long it is to the millisecond."""


@dataclass(frozen=True)
class Measured:
    """An utterance whose audio was found to be there, ``duration_s`` of it."""

    utterance: Utterance
    duration_s: float


def measured(found: Iterable[Utterance | Problem]) -> Iterator[Measured | Problem]:
    """Each utterance with its duration, or what is wrong with it, in order; problems as they are.

    A recording whose pieces follow each other is opened once. Needs little memory however many
    there are: where each audio was seen, to tell duplicates.
    """
    seen: dict[_Piece, str] = {}
    pool = ThreadPoolExecutor()
    try:
        under_way = in_order(_started(found, pool), lambda pair: pair[1], _MOST_UNDER_WAY)
        for each, length in under_way:
            if isinstance(each, Problem):
                yield each
                continue
            try:
                yield Measured(each, _duration(each, length, seen))
            except LeftOut as error:
                yield Problem.of(each.where, error)
    finally:
        pool.shutdown(cancel_futures=True)


def _started(
    found: Iterable[Utterance | Problem], pool: ThreadPoolExecutor
) -> Iterator[tuple[Utterance | Problem, Length]]:
    opened: Path | None = None
    length: Length = Future()
    length.set_result(0.0)
    for each in found:
        if isinstance(each, Utterance) and each.audio != opened:
            opened, length = each.audio, pool.submit(length_of, each.audio)
        yield each, length


def _duration(utterance: Utterance, length: Length, seen: dict[_Piece, str]) -> float:
    """Seconds of the utterance; raises ``LeftOut``."""
    if utterance.text is not None and not utterance.text.strip():
        raise LeftOut(Fault.EMPTY, f"the text for {shortened(utterance.audio)} is empty")
    try:
        length_s = length.result()
    except AudioError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        raise LeftOut(Fault.NO_AUDIO if missing else Fault.UNREADABLE, str(error)) from error
    duration_s = _within(utterance, length_s)
    piece = str(plain(utterance.audio)), utterance.offset_s or 0.0, round(duration_s, _DECIMALS)
    if piece in seen:
        raise LeftOut(Fault.DUPLICATE, f"is the same audio as {seen[piece]}: {utterance.audio}")
    seen[piece] = utterance.where
    return duration_s


def _within(utterance: Utterance, length_s: float) -> float:
    """Seconds of the piece, which must lie in its recording, or of all, as it was said to be."""
    said_s, offset_s = utterance.duration_s, utterance.offset_s
    if offset_s is None:
        if said_s is not None and abs(said_s - length_s) > SLACK_S:
            reason = f"duration is {said_s:g}, but {utterance.audio} is {length_s:.3f} s long"
            raise LeftOut(Fault.DURATION, f"{reason}: correct it, or give an offset for a piece")
        return length_s
    end_s = length_s if said_s is None else offset_s + said_s
    if offset_s >= min(end_s, length_s) or end_s > length_s + SLACK_S:
        raise LeftOut(
            Fault.DURATION,
            f"the piece goes from {offset_s:g} to {end_s:g} s, but {utterance.audio} is "
            f"{length_s:.3f} s long: correct offset and duration",
        )
    return min(end_s, length_s) - offset_s
