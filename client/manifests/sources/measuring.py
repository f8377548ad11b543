"""Open and measure recordings concurrently, and report those that contradict the source.

Opening reads a recording's header and its end, where a truncated copy shows; some formats are read
completely, because only that tells their length, or whether another recording follows.
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
from .files import Fault, LeftOut, Problem, Utterance, plain

if TYPE_CHECKING:
    from pathlib import Path
from pathlib import Path
from typing import Any

from ...utils.utf8 import json_text

_MOST_IN_FLIGHT: Final = 256
_DECIMALS: Final = 3  # of seconds

Length: TypeAlias = "Future[float]"
_Piece: TypeAlias = tuple[str, float, float]
"""A recording, the start of a piece in it, and its length to the millisecond."""


@dataclass(frozen=True)
class Measured:
    """An utterance whose audio exists, with its ``duration_s``."""

    utterance: Utterance
    duration_s: float


def measured(found: Iterable[Utterance | Problem]) -> Iterator[Measured | Problem]:
    """Each utterance with its duration, or its problem, in order; problems pass through.

    A recording with consecutive pieces is opened once. Keeps only the place of each audio in
    memory, to detect duplicates.
    """
    seen: dict[_Piece, str] = {}
    pool = ThreadPoolExecutor()
    try:
        in_flight = in_order(_started(found, pool), lambda pair: pair[1], _MOST_IN_FLIGHT)
        for each, length in in_flight:
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
        raise LeftOut(Fault.NO_AUDIO if missing else Fault.UNREADABLE, error.message) from error
    duration_s = _within(utterance, length_s)
    piece = str(plain(utterance.audio)), utterance.offset_s or 0.0, round(duration_s, _DECIMALS)
    if piece in seen:
        raise LeftOut(Fault.DUPLICATE, f"is the same audio as {seen[piece]}: {utterance.audio}")
    seen[piece] = utterance.where
    return duration_s


def _within(utterance: Utterance, length_s: float) -> float:
    """Seconds of the piece, which must lie in its recording, or of the whole recording."""
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


def manifest_line(measured: Measured, folder: Path) -> str:
    """The line, with its end, for a manifest in ``folder``.

    Audio below the folder is named relative to it, other audio by its absolute path.
    """
    utterance = measured.utterance
    fields: dict[str, Any] = {
        "audio_filepath": _path_from(folder, utterance.audio),
        "duration": round(measured.duration_s, _DECIMALS),
        "text": utterance.text,
    }
    if utterance.offset_s is not None:
        fields["offset"] = round(utterance.offset_s, _DECIMALS)
    if utterance.speaker is not None:
        fields["speaker"] = utterance.speaker
    return json_text(fields) + "\n"


def _path_from(folder: Path, audio: Path) -> str:
    path, base = plain(audio), plain(folder)
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
