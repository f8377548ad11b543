"""Open and measure recordings concurrently, report what contradicts the source, and sum up.

Opening reads a recording's header and its end, where a truncated copy shows; some formats are read
completely, because only that tells their length, or whether another recording follows.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from ...audio import length_of
from ...audio.options import SLACK_S
from ...errors import AudioError
from ...language_models.spelling import Spelling
from ...utils.in_order import in_order
from ...utils.shortened import shortened
from ...utils.utf8 import json_text
from ...wire.contract import Contract
from .files import Fault, LeftOut, Problem, SourceUtterance, plain

_MOST_IN_FLIGHT: Final = 256
_DECIMALS: Final = 3  # of seconds

Length: TypeAlias = "Future[float]"
_Piece: TypeAlias = tuple[str, float, float]
"""A recording, the start of a piece in it, and its length to the millisecond."""


@dataclass(frozen=True)
class Measured:
    """An utterance whose audio exists, with its ``duration_s``."""

    utterance: SourceUtterance
    duration_s: float


def measured(found: Iterable[SourceUtterance | Problem]) -> Iterator[Measured | Problem]:
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
    found: Iterable[SourceUtterance | Problem], pool: ThreadPoolExecutor
) -> Iterator[tuple[SourceUtterance | Problem, Length]]:
    opened: Path | None = None
    length: Length = Future()
    length.set_result(0.0)
    for each in found:
        if isinstance(each, SourceUtterance) and each.audio != opened:
            opened, length = each.audio, pool.submit(length_of, each.audio)
        yield each, length


def _duration(utterance: SourceUtterance, length: Length, seen: dict[_Piece, str]) -> float:
    """Seconds of the utterance; raises ``LeftOut``."""
    if utterance.text is not None and not utterance.text.strip():
        raise LeftOut(f"the text for {shortened(utterance.audio)} is empty", fault=Fault.EMPTY)
    try:
        length_s = length.result()
    except AudioError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        fault = Fault.NO_AUDIO if missing else Fault.UNREADABLE
        raise LeftOut(error.message, fault=fault) from error
    duration_s = _within(utterance, length_s)
    piece = str(plain(utterance.audio)), utterance.offset_s or 0.0, round(duration_s, _DECIMALS)
    if piece in seen:
        raise LeftOut(
            f"is the same audio as {seen[piece]}: {utterance.audio}", fault=Fault.DUPLICATE
        )
    seen[piece] = utterance.where
    return duration_s


def _within(utterance: SourceUtterance, length_s: float) -> float:
    """Seconds of the piece, which must lie in its recording, or of the whole recording."""
    said_s, offset_s = utterance.duration_s, utterance.offset_s
    if offset_s is None:
        if said_s is not None and abs(said_s - length_s) > SLACK_S:
            reason = f"duration is {said_s:g}, but {utterance.audio} is {length_s:.3f} s long"
            raise LeftOut(
                f"{reason}: correct it, or give an offset for a piece", fault=Fault.DURATION
            )
        return length_s
    end_s = length_s if said_s is None else offset_s + said_s
    if offset_s >= min(end_s, length_s) or end_s > length_s + SLACK_S:
        raise LeftOut(
            f"the piece goes from {offset_s:g} to {end_s:g} s, but {utterance.audio} is "
            f"{length_s:.3f} s long: correct offset and duration",
            fault=Fault.DURATION,
        )
    return min(end_s, length_s) - offset_s


def manifest_line(measured: Measured, folder: Path) -> str:
    """The line, with its end, for a manifest in ``folder``.

    Audio below the folder is named relative to it, other audio by its absolute path.
    """
    utterance = measured.utterance
    path, base = plain(utterance.audio), plain(folder)
    named = path.relative_to(base) if path.is_relative_to(base) else path
    fields: dict[str, Any] = {
        "audio_filepath": named.as_posix(),
        "duration": round(measured.duration_s, _DECIMALS),
        "text": utterance.text,
    }
    if utterance.offset_s is not None:
        fields["offset"] = round(utterance.offset_s, _DECIMALS)
    if utterance.speaker is not None:
        fields["speaker"] = utterance.speaker
    return json_text(fields) + "\n"


@dataclass
class Summary:
    """Counts over the utterances and problems added."""

    durations_s: list[float] = field(default_factory=list)
    """Of the utterances in the manifest."""
    without_text: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    """How often each occurs in the texts."""
    left_out: Counter[Fault] = field(default_factory=Counter)

    def add(self, each: Measured | Problem) -> None:
        """Count an utterance or a problem."""
        if isinstance(each, Problem):
            self.left_out[each.fault] += 1
            return
        self.durations_s.append(each.duration_s)
        self.without_text += each.utterance.text is None
        self.characters.update(each.utterance.text or "")

    @property
    def audio_s(self) -> float:
        """Total seconds of audio."""
        return sum(self.durations_s)

    @property
    def median_s(self) -> float:
        """The median utterance's seconds; there must be one."""
        return statistics.median(self.durations_s)


class ModelFit:
    """The utterances that a model cannot take, and the characters that it cannot write."""

    def __init__(self, contract: Contract) -> None:
        self.shortest_s = contract.min_samples / contract.sample_rate_hz
        self.longest_s = contract.max_samples / contract.sample_rate_hz
        self.too_short = 0
        self.too_long = 0
        self.unwritable_texts = 0
        self.unwritable_characters: Counter[str] = Counter()
        self._spelling = Spelling.of_contract(contract)

    def add(self, measured: Measured) -> str:
        """Count an utterance; returns why the model rejects its audio, or an empty text."""
        text = measured.utterance.text or ""
        unwritable = self._spelling.unwritable(text)
        self.unwritable_texts += bool(unwritable)
        self.unwritable_characters.update(each for each in text if each in unwritable)
        duration_s = measured.duration_s
        if duration_s > self.longest_s:
            self.too_long += 1
            return f"is {duration_s:.2f} s long, the model takes at most {self.longest_s:g} s"
        if duration_s < self.shortest_s:
            self.too_short += 1
            return f"is {duration_s:.3f} s long, the model takes at least {self.shortest_s:g} s"
        return ""
